"""Events of e-mail providers, signed: SendGrid's webhook, Amazon SES by SNS, Mailgun.

Recorded shapes are those of their public documentation. Opens and clicks are ours to count, so
theirs are left aside; whatever else is not understood is left aside, too.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key
from cryptography.x509 import load_pem_x509_certificate

from zhiyin.act.create.message import MESSAGE_ID_HEADER
from zhiyin.act.returned import BOUNCE, COMPLAINT, DELAY, DELIVERED, UNSUBSCRIBE, Returned
from zhiyin.core.errors import InputError, NotAuthenticated, NotFound

MAX_SKEW_S = 300
Fetch = Callable[[str], bytes]
"""Gets the content of an https address of Amazon's."""
_OURS = re.compile(r"m_[0-9a-f]{32}")
_AMAZON = re.compile(r"sns\.[a-z0-9-]+\.amazonaws\.com(\.cn)?")
_SENDGRID = {
    "bounce": BOUNCE, "dropped": BOUNCE, "deferred": DELAY, "delivered": DELIVERED,
    "spamreport": COMPLAINT, "unsubscribe": UNSUBSCRIBE, "group_unsubscribe": UNSUBSCRIBE,
}  # fmt: skip
_MAILGUN = {"delivered": DELIVERED, "complained": COMPLAINT, "unsubscribed": UNSUBSCRIBE}
_SES = {"bounce": BOUNCE, "complaint": COMPLAINT, "delivery": DELIVERED, "deliverydelay": DELAY}
_SIGNED = {
    "Notification": ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    "SubscriptionConfirmation": (
        "Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type",
    ),
}  # fmt: skip


def read_events(
    provider: str,
    headers: Mapping[str, str],
    body: bytes,
    *,
    secrets: Sequence[str],
    now: datetime,
    fetch: Fetch,
) -> list[Returned]:
    """The reports in a request of a provider, after its signature was checked.

    Parameters
    ----------
    provider
        `sendgrid`, `ses` or `mailgun`.
    headers
        By lower-case name.
    secrets
        SendGrid: public keys in base64; SES: ARNs of the SNS topics; Mailgun: signing keys.
    fetch
        For SES: the certificate, and the address that confirms a subscription.

    Raises
    ------
    NotFound
        If there is no such provider, or it has no secret.
    NotAuthenticated
        If the signature is missing, wrong or too old.
    InputError
        If the body is not what the provider sends.
    """
    if provider not in _READERS or not secrets:
        raise NotFound(
            f"no events of {provider!r} are taken",
            hint=f"providers: {', '.join(_READERS)}; set the variable of its secret",
        )
    try:
        return list(_READERS[provider](headers, body, secrets, now, fetch))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise InputError(f"this is no event of {provider}") from None


def _sendgrid(
    headers: Mapping[str, str], body: bytes, secrets: Sequence[str], now: datetime, _: Fetch
) -> Iterator[Returned]:
    stamp = headers.get("x-twilio-email-event-webhook-timestamp", "")
    _check_time(stamp, now)
    try:
        given = base64.b64decode(headers.get("x-twilio-email-event-webhook-signature", ""))
    except binascii.Error:
        given = b""
    if not any(_is_signed_ec(one, given, stamp.encode() + body) for one in secrets):
        raise _unsigned()
    for event in json.loads(body):
        kind = _SENDGRID.get(event.get("event", ""))
        message_id = _id_in(event.get("smtp-id", ""))
        if kind is None or message_id is None:
            continue
        hard = event.get("type") != "blocked" if kind == BOUNCE else None
        status = str(event.get("status", ""))
        yield Returned(message_id, kind, str(event["sg_event_id"]), status, hard)


def _mailgun(
    _headers: Mapping[str, str], body: bytes, secrets: Sequence[str], now: datetime, _: Fetch
) -> Iterator[Returned]:
    values = json.loads(body)
    signed = values["signature"]
    _check_time(str(signed["timestamp"]), now)
    text = f"{signed['timestamp']}{signed['token']}".encode()
    given = str(signed["signature"]).encode()
    wanted = [hmac.new(one.encode(), text, hashlib.sha256).hexdigest().encode() for one in secrets]
    if not any(hmac.compare_digest(given, one) for one in wanted):
        raise _unsigned()
    event = values["event-data"]
    message_id = _id_in(event["message"]["headers"]["message-id"])
    kind, hard = _MAILGUN.get(event["event"]), None
    if event["event"] == "failed":
        hard = event.get("severity") == "permanent"
        kind = BOUNCE if hard else DELAY
    if kind is None or message_id is None:
        return
    said = event.get("delivery-status", {})
    status = str(said.get("enhanced-code") or "")
    yield Returned(message_id, kind, str(event["id"]), status, hard)


def _ses(
    _headers: Mapping[str, str], body: bytes, secrets: Sequence[str], now: datetime, fetch: Fetch
) -> Iterator[Returned]:
    values = json.loads(body)
    names = _SIGNED.get(values["Type"])
    if names is None or values["TopicArn"] not in secrets:
        raise _unsigned()
    _check_amazon(values, names, fetch)
    made = datetime.fromisoformat(values["Timestamp"])
    if values["Type"] == "SubscriptionConfirmation":
        _check_time(str(int(made.timestamp())), now)
        fetch(_of_amazon(values["SubscribeURL"]))
        return
    event = json.loads(values["Message"])
    said = str(event.get("notificationType") or event.get("eventType") or "").lower()
    kind, message_id = _SES.get(said), _ses_id(event.get("mail", {}))
    if kind is None or message_id is None:
        return
    status, hard = "", None
    if kind == BOUNCE:
        hard = event["bounce"].get("bounceType") == "Permanent"
        status = str(next(iter(event["bounce"].get("bouncedRecipients", [])), {}).get("status", ""))
    elif kind == COMPLAINT:
        status = str(event["complaint"].get("complaintFeedbackType") or "")
    yield Returned(message_id, kind, str(values["MessageId"]), status, hard)


_READERS = {"sendgrid": _sendgrid, "ses": _ses, "mailgun": _mailgun}
PROVIDERS = tuple(_READERS)


def _ses_id(mail: Mapping[str, Any]) -> str | None:
    """SES writes its own Message-ID; ours is among the headers that it was given."""
    held = {str(one["name"]).lower(): str(one["value"]) for one in mail.get("headers", ())}
    named = (held.get(MESSAGE_ID_HEADER.lower(), ""), held.get("message-id", ""))
    return next((found for one in named if (found := _id_in(one))), None)


def _check_amazon(values: Mapping[str, Any], names: Sequence[str], fetch: Fetch) -> None:
    """Check SNS' signature with the certificate that it names, which must be at Amazon's."""
    text = "".join(f"{name}\n{values[name]}\n" for name in names if name in values)
    digest = SHA256() if values.get("SignatureVersion") == "2" else SHA1()  # noqa: S303  # SNS' first version
    try:
        certificate = load_pem_x509_certificate(fetch(_of_amazon(values["SigningCertURL"])))
        key = certificate.public_key()
        if not isinstance(key, RSAPublicKey):
            raise _unsigned()
        key.verify(base64.b64decode(values["Signature"]), text.encode(), PKCS1v15(), digest)
    except (InvalidSignature, UnsupportedAlgorithm, ValueError):
        raise _unsigned() from None


def _of_amazon(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme != "https" or not _AMAZON.fullmatch(parts.netloc):
        raise _unsigned()
    return url


def _is_signed_ec(key: str, signature: bytes, text: bytes) -> bool:
    try:
        public = load_der_public_key(base64.b64decode(key))
        if not isinstance(public, EllipticCurvePublicKey):
            return False
        public.verify(signature, text, ECDSA(SHA256()))
    except (InvalidSignature, UnsupportedAlgorithm, ValueError):
        return False
    return True


def _check_time(text: str, now: datetime) -> None:
    if not text.isascii() or not text.isdigit() or len(text) > 12:
        raise NotAuthenticated("the event has no time in unix seconds")
    if abs(now.timestamp() - int(text)) > MAX_SKEW_S:
        raise NotAuthenticated("the event was signed more than 5 minutes ago or ahead")


def _unsigned() -> NotAuthenticated:
    return NotAuthenticated(
        "the signature of the event is wrong", hint="see that both sides have one secret or topic"
    )


def _id_in(text: str) -> str | None:
    found = _OURS.search(str(text))
    return found.group() if found else None
