"""Text messages by Aliyun, Tencent Cloud or Twilio: one signed request for each.

None of them recognises a repeat, so each request has a connection of its own: where it breaks
after it was made, the message is in doubt. Chinese providers fill a template that they approved,
and take no free text.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from zhiyin.act.channels.outgoing import Answer, Target, post_once, read_target
from zhiyin.act.create.text_message import NUMBER, TextMessage, read_text
from zhiyin.act.tracked import NO_URL
from zhiyin.core.clock import Clock, SystemClock
from zhiyin.core.config import ActSettings, sms_secrets
from zhiyin.core.errors import ChannelUnavailable, ConfigError, DeliveryError, InvalidParameter

_LATER = re.compile(r"throttl|limit|busy|timeout|internalerror|serviceunavailable", re.IGNORECASE)
_SHUT = re.compile(
    r"auth|signature|accesskey|secretid|balance|amount|out_of_service|template|permission|"
    r"account|sdkappid",
    re.IGNORECASE,
)
_NOBODY = re.compile(r"mobile_number_illegal|incorrectphonenumber|21211|21614", re.IGNORECASE)


@dataclass(frozen=True)
class Account:
    """Who sends: key and secret of the provider, the sender's name or number, the template."""

    key: str
    secret: str = field(repr=False)
    sender: str
    template: str = ""
    params: tuple[str, ...] = ()
    app_id: str = ""
    callback: str = ""  # where Twilio tells what became of a message; empty: nowhere


@dataclass(frozen=True)
class Request:
    """One request of a provider."""

    path: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


Build = Callable[[Account, str, str, str, TextMessage, datetime], Request]
"""(account, host, message id, number, text, now) → the request."""
Read = Callable[[Mapping[str, Any]], tuple[str, str]]
"""The answer's JSON → (error code, receipt): one of them is empty."""


class SmsChannel:
    """Hands text messages to one provider."""

    supports: frozenset[str] = frozenset()

    def __init__(
        self, name: str, target: Target, account: Account, *, clock: Clock | None = None,
        timeout_s: float = 10.0,
    ) -> None:  # fmt: skip
        self.name = name
        self._target, self._account, self._timeout_s = target, account, timeout_s
        self._build, self._read = PROVIDERS[name]
        self._clock = clock or SystemClock()

    def send(self, message_id: str, recipient: str, content: bytes) -> str:
        """Hand one message over; the provider's receipt.

        Raises
        ------
        InvalidParameter
            If the recipient is no number of E.164.
        DeliveryError
            `retryable`, `in_doubt`, or refused, as the provider answers.
        """
        if not NUMBER.fullmatch(recipient):
            raise InvalidParameter("a phone number is not of E.164")
        now = self._clock.now().astimezone(UTC)
        made = self._build(
            self._account, self._target.host, message_id, recipient, read_text(content), now
        )
        answer = post_once(
            self._target, made.path, made.headers, made.body, timeout_s=self._timeout_s,
            what=f"message {message_id}",
        )  # fmt: skip
        return self._receipt(answer)

    def lookup(self, message_id: str) -> bool | None:
        """None: providers are not asked."""
        return None

    def close(self) -> None:
        """Nothing to give back."""

    def _receipt(self, answer: Answer) -> str:
        try:
            code, receipt = self._read(json.loads(answer.body))
        except (ValueError, KeyError, TypeError, IndexError, AttributeError):
            code, receipt = f"http {answer.status}", ""
        if 200 <= answer.status < 300 and not code:
            return receipt[:200] or "accepted"
        if answer.status < 300 and code.startswith("http"):  # taken, perhaps
            raise DeliveryError(f"{self._target.host} answers in another way", in_doubt=True)
        if answer.status in (401, 403) or _SHUT.search(code):
            raise ChannelUnavailable(
                f"{self._target.host} does not let us send ({code})",
                hint="look at the account, the template and ZHIYIN_SMS_SECRET",
            )
        later = answer.status == 429 or answer.status >= 500 or bool(_LATER.search(code))
        raise DeliveryError(
            f"{self._target.host} refused a message {'for now' if later else 'for good'} ({code})",
            retryable=later, no_such_address=bool(_NOBODY.search(code)) and not later,
        )  # fmt: skip


def _of_aliyun(
    account: Account, host: str, message_id: str, number: str, text: TextMessage, now: datetime
) -> Request:
    query = {
        "PhoneNumbers": number.removeprefix("+86") if number.startswith("+86") else number[1:],
        "SignName": account.sender, "TemplateCode": text.template or account.template,
        "OutId": message_id,
        "TemplateParam": json.dumps(_chosen(account, text), ensure_ascii=False),
    }  # fmt: skip
    headers = {
        "host": host, "x-acs-action": "SendSms", "x-acs-version": "2017-05-25",
        "x-acs-date": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "x-acs-signature-nonce": os.urandom(16).hex(),
    }  # fmt: skip
    return sign_acs3(account.key, account.secret, query, headers, b"")


def sign_acs3(
    key: str, secret: str, query: Mapping[str, str], headers: Mapping[str, str], body: bytes
) -> Request:
    """A POST to `/` signed with ACS3-HMAC-SHA256."""
    digest = hashlib.sha256(body).hexdigest()
    signed = dict(sorted({**headers, "x-acs-content-sha256": digest}.items()))
    asked = "&".join(f"{_encoded(name)}={_encoded(query[name])}" for name in sorted(query))
    names = ";".join(signed)
    lines = "".join(f"{name}:{value.strip()}\n" for name, value in signed.items())
    whole = f"POST\n/\n{asked}\n{lines}\n{names}\n{digest}"
    text = f"ACS3-HMAC-SHA256\n{hashlib.sha256(whole.encode()).hexdigest()}"
    made = hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()
    said = f"ACS3-HMAC-SHA256 Credential={key},SignedHeaders={names},Signature={made}"
    return Request(f"/?{asked}", {**signed, "Authorization": said}, body)


def _by_aliyun(values: Mapping[str, Any]) -> tuple[str, str]:
    code = str(values["Code"])
    return ("", str(values.get("BizId", ""))) if code == "OK" else (code, "")


def _of_tencent(
    account: Account, host: str, message_id: str, number: str, text: TextMessage, now: datetime
) -> Request:
    body = json.dumps({
        "PhoneNumberSet": [number], "SmsSdkAppId": account.app_id, "SignName": account.sender,
        "TemplateId": text.template or account.template, "SessionContext": message_id,
        "TemplateParamSet": list(_chosen(account, text).values()),
    }, ensure_ascii=False).encode()  # fmt: skip
    stamp = int(now.timestamp())
    signed = sign_tc3(account.key, account.secret, "sms", host, body, stamp)
    asked = {
        "X-TC-Action": "SendSms", "X-TC-Version": "2021-01-11", "X-TC-Region": "ap-guangzhou",
        "X-TC-Timestamp": str(stamp),
    }  # fmt: skip
    return Request("/", {**signed, **asked}, body)


def sign_tc3(
    key: str, secret: str, service: str, host: str, body: bytes, stamp: int
) -> dict[str, str]:
    """Headers of a POST to `/` signed with TC3-HMAC-SHA256."""
    kind, names = "application/json; charset=utf-8", "content-type;host"
    day = datetime.fromtimestamp(stamp, UTC).strftime("%Y-%m-%d")
    digest = hashlib.sha256(body).hexdigest()
    whole = f"POST\n/\n\ncontent-type:{kind}\nhost:{host}\n\n{names}\n{digest}"
    scope = f"{day}/{service}/tc3_request"
    text = f"TC3-HMAC-SHA256\n{stamp}\n{scope}\n{hashlib.sha256(whole.encode()).hexdigest()}"
    made = f"TC3{secret}".encode()
    for part in (day, service, "tc3_request", text):
        made = hmac.new(made, part.encode(), hashlib.sha256).digest()
    said = (
        f"TC3-HMAC-SHA256 Credential={key}/{scope}, SignedHeaders={names}, Signature={made.hex()}"
    )
    return {"Authorization": said, "Content-Type": kind, "Host": host}


def _by_tencent(values: Mapping[str, Any]) -> tuple[str, str]:
    answer = values["Response"]
    if "Error" in answer:
        return str(answer["Error"]["Code"]), ""
    (one,) = answer["SendStatusSet"]
    return ("", str(one["SerialNo"])) if one["Code"] == "Ok" else (str(one["Code"]), "")


def _of_twilio(
    account: Account, host: str, message_id: str, number: str, text: TextMessage, now: datetime
) -> Request:
    sender = "MessagingServiceSid" if account.sender.startswith("MG") else "From"
    said = {"To": number, sender: account.sender, "Body": text.text}
    if account.callback:
        said["StatusCallback"] = account.callback
    body = urlencode(said).encode()
    login = base64.b64encode(f"{account.key}:{account.secret}".encode()).decode()
    headers = {
        "Authorization": f"Basic {login}", "Content-Type": "application/x-www-form-urlencoded",
    }  # fmt: skip
    path = f"/2010-04-01/Accounts/{quote(account.key, safe='')}/Messages.json"
    return Request(path, headers, body)


def _by_twilio(values: Mapping[str, Any]) -> tuple[str, str]:
    if "sid" in values:
        return "", str(values["sid"])
    return str(values["code"]), ""


TEMPLATED = ("aliyun_sms", "tencent_sms")
"""Providers that send templates which they approved, and no free text."""
PROVIDERS: dict[str, tuple[Build, Read]] = {
    "aliyun_sms": (_of_aliyun, _by_aliyun),
    "tencent_sms": (_of_tencent, _by_tencent),
    "twilio_sms": (_of_twilio, _by_twilio),
}
ADDRESSES = {
    "aliyun_sms": "https://dysmsapi.aliyuncs.com",
    "tencent_sms": "https://sms.tencentcloudapi.com",
    "twilio_sms": "https://api.twilio.com",
}


def open_sms(settings: ActSettings, *, folder: Path = Path()) -> SmsChannel:
    """The channel that the settings describe.

    Raises
    ------
    ConfigError
        If the account, the sender or, for a Chinese provider, the template is missing.
    """
    secrets, name = sms_secrets(), settings.channel
    templated = name != "twilio_sms"
    lacking = not settings.sms_sender or (templated and not settings.sms_template)
    if secrets is None or lacking or (name == "tencent_sms" and not settings.sms_app_id):
        raise ConfigError(
            f"the channel {name} is not configured",
            hint="set act.sms_sender, act.sms_template and act.sms_app_id as it needs them, and "
            "ZHIYIN_SMS_KEY and ZHIYIN_SMS_SECRET",
        )
    account = Account(
        *secrets, settings.sms_sender, settings.sms_template, settings.sms_params,
        settings.sms_app_id, _callback(settings),
    )  # fmt: skip
    return SmsChannel(name, read_target(ADDRESSES[name], setting="act.channel"), account)


def _callback(settings: ActSettings) -> str:
    """The address for receipts, where there is a public one."""
    own = settings.public_url.rstrip("/")
    public = own.startswith("https://") and own != NO_URL
    return f"{own}/v1/receipts/twilio" if public else ""


def _chosen(account: Account, text: TextMessage) -> dict[str, str]:
    """The parts of the text that the template has, in its order."""
    return dict(text.data) or {name: text.params.get(name, "") for name in account.params}


def _encoded(text: str) -> str:
    return quote(text, safe="-_.~")
