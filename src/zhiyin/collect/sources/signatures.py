"""Whether a webhook comes from its sender: signatures by kind, compared in constant time.

Standard Webhooks 1.0.0 signs `id.timestamp.body` with the decoded secret `whsec_…`; Shopify signs
the body (base64), GitHub the body (`sha256=` and hex). Of each, the secret before the present one
is taken too, so that secrets can be changed without a gap.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from zhiyin.collect.sources.config import HookSource
from zhiyin.core.errors import ConfigError, InputError, NotAuthenticated

MAX_SKEW_S = 300
MAX_ID = 200


@dataclass(frozen=True)
class Verified:
    """A webhook whose signature is right: `hook_id` is its sender's id, empty where it has none."""

    hook_id: str
    topic: str


def verify(
    source: HookSource,
    headers: Mapping[str, str],
    body: bytes,
    *,
    secrets: Sequence[str],
    now: datetime,
) -> Verified:
    """Check signature and time of a webhook.

    Parameters
    ----------
    headers
        By lower-case name.
    secrets
        The present secret, and the one before it.
    now
        Aware moment that a signed time may be 5 minutes away from.

    Raises
    ------
    NotAuthenticated
        If the signature is missing or wrong, or its time is too far away.
    ConfigError
        If the source has no secret, or none that its kind can use.
    """
    if not secrets:
        raise ConfigError("this source has no secret", hint="set its variable; see docs/sources.md")
    if source.signature == "standard":
        return _standard(source, headers, body, secrets, now)
    if source.signature == "shopify":
        given = headers.get("x-shopify-hmac-sha256", "")
        _compare([_base64(given)], [_mac(one.encode(), body) for one in secrets])
        return _named(headers, "x-shopify-webhook-id", "x-shopify-topic")
    if source.signature == "github":
        kind, _, given = headers.get("x-hub-signature-256", "").partition("=")
        _compare(
            [_hex(given)] if kind == "sha256" else [], [_mac(s.encode(), body) for s in secrets]
        )
        return _named(headers, "x-github-delivery", "x-github-event")
    return _configured(source, headers, body, secrets, now)


def _standard(
    source: HookSource,
    headers: Mapping[str, str],
    body: bytes,
    secrets: Sequence[str],
    now: datetime,
) -> Verified:
    hook_id, at = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    _check_time(at, now)
    signed = f"{hook_id}.{at}.".encode() + body
    parts = (one.partition(",") for one in headers.get("webhook-signature", "").split())
    given = [_base64(text) for version, _, text in parts if version == "v1"]
    _compare(given, [_mac(_standard_key(one), signed) for one in secrets])
    if not hook_id:
        raise NotAuthenticated("the webhook has no webhook-id")
    return _named(headers, "webhook-id", source.topic_header)


def _standard_key(secret: str) -> bytes:
    key = _base64(secret.removeprefix("whsec_"))
    if not key:
        raise ConfigError(
            "the secret is none of Standard Webhooks",
            hint="whsec_ and base64, as the sender shows it",
        )
    return key


def _configured(
    source: HookSource,
    headers: Mapping[str, str],
    body: bytes,
    secrets: Sequence[str],
    now: datetime,
) -> Verified:
    given = headers.get(source.header.lower(), "")
    given = given.removeprefix(source.prefix) if given.startswith(source.prefix) else ""
    signed = body
    if source.timestamp_header:
        at = headers.get(source.timestamp_header.lower(), "")
        _check_time(at, now)
        signed = f"{at}.".encode() + body
    decoded = _base64(given) if source.encoding == "base64" else _hex(given)
    _compare([decoded], [_mac(one.encode(), signed, source.digest) for one in secrets])
    return _named(headers, source.id_header, source.topic_header)


def _named(headers: Mapping[str, str], id_header: str, topic_header: str) -> Verified:
    hook_id = headers.get(id_header.lower(), "") if id_header else ""
    if len(hook_id) > MAX_ID:
        raise InputError("the id of the webhook is too long")
    return Verified(hook_id, headers.get(topic_header.lower(), "") if topic_header else "")


def _check_time(text: str, now: datetime) -> None:
    if not text.isascii() or not text.isdigit() or len(text) > 12:
        raise NotAuthenticated("the webhook has no time in unix seconds")
    if abs(now.timestamp() - int(text)) > MAX_SKEW_S:
        raise NotAuthenticated(
            "the webhook was signed more than 5 minutes ago or ahead",
            hint="see that both clocks are right",
        )


def _compare(given: Sequence[bytes], wanted: Sequence[bytes]) -> None:
    """Whether one of the given signatures is one of the wanted; all are compared, always."""
    right = False
    for one in given or (b"",):
        for other in wanted:
            right |= hmac.compare_digest(one, other)
    if not right:
        raise NotAuthenticated(
            "the signature of the webhook is wrong", hint="see that both sides have one secret"
        )


def _mac(secret: bytes, body: bytes, digest: str = "sha256") -> bytes:
    return hmac.new(secret, body, getattr(hashlib, digest)).digest()


def _base64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""


def _hex(text: str) -> bytes:
    try:
        return bytes.fromhex(text) if text.isascii() and len(text) % 2 == 0 else b""
    except ValueError:
        return b""
