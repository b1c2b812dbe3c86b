"""Messages by webhook: one signed POST each, to a system of the shop's that sends them on.

Signed as Standard Webhooks 1.0.0 says: `webhook-id` is the message's id, by which the receiver
recognises a repeat; a receiver that does not would send twice. With two secrets there are two
signatures, so that the secret can be changed without a gap.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from datetime import UTC
from email.utils import parsedate_to_datetime
from http.client import HTTPConnection, HTTPException, HTTPResponse
from pathlib import Path
from typing import Any

from zhiyin.act.channels.outgoing import Target, read_target
from zhiyin.act.create.message import ascii_address
from zhiyin.act.create.text_message import NUMBER
from zhiyin.core.clock import Clock, SystemClock
from zhiyin.core.config import ActSettings, webhook_secrets
from zhiyin.core.errors import ChannelUnavailable, ConfigError, DeliveryError

PREFIX = "whsec_"
MIN_SECRET = 24  # bytes, Standard Webhooks
TRY_LATER = frozenset({408, 425, 429})
UNSIGNED = 401
MAX_WAIT_S = 86_400
_MAX_ANSWER = 65_536


class WebhookChannel:
    """Hands messages to one address.

    Parameters
    ----------
    secrets
        `whsec_…`: the present one, then the one before it where receivers may know that only.
    timeout_s
        How long connecting, and any answer, may take.
    """

    name = "webhook"
    supports = frozenset({"idempotency"})

    def __init__(
        self,
        target: Target,
        secrets: Sequence[str],
        *,
        timeout_s: float = 10.0,
        clock: Clock | None = None,
    ) -> None:
        self._target = target
        self._keys = [read_secret(one) for one in secrets]
        self._timeout_s = timeout_s
        self._clock = clock or SystemClock()
        self._line: HTTPConnection | None = None

    def send(self, message_id: str, recipient: str, content: bytes) -> str:
        """Post one message: JSON with its id, recipient and the e-mail's bytes in base64, or for a
        phone number the parts of a text message.

        Raises
        ------
        InvalidParameter
            If the recipient is neither an e-mail address nor a number of E.164.
        DeliveryError
            `retryable` where the receiver asks to come later (408, 425, 429, 5xx), `in_doubt`
            where the line broke before the answer, otherwise refused.
        ChannelUnavailable
            If nobody can be reached, the signature is not taken (401), or it is a redirect.
        """
        told = _told(recipient, content)
        kind = f"message.{told['channel']}"
        return self.post(message_id, kind, {"message_id": message_id, **told})

    def post(self, message_id: str, kind: str, data: Mapping[str, object]) -> str:
        """Post `data` under the type `kind`; what can fail is as of `send`."""
        now = self._clock.now()
        body = json.dumps({
            "type": kind,
            "timestamp": now.astimezone(UTC).isoformat().replace("+00:00", "Z"),
            "data": data,
        }).encode()  # fmt: skip
        stamp = int(now.timestamp())
        headers = {
            "content-type": "application/json",
            "user-agent": "Zhiyin",
            "webhook-id": message_id,
            "webhook-timestamp": str(stamp),
            "webhook-signature": sign(self._keys, message_id, stamp, body),
        }
        answer = self._answered(message_id, body, headers)
        status, wait = answer.status, answer.getheader("Retry-After")
        if 200 <= status < 300:
            return str(status)
        raise self._refused(status, wait)

    def lookup(self, message_id: str) -> bool | None:
        """None: there is nothing to ask."""
        return None

    def close(self) -> None:
        """Give back the connection; safe to call again. A later `send` connects anew."""
        line, self._line = self._line, None
        if line is not None:
            line.close()

    def _answered(self, message_id: str, body: bytes, headers: dict[str, str]) -> HTTPResponse:
        """The answer, read to its end; an idle connection that was closed is opened again once."""
        for kept in (self._line is not None, False):
            if self._line is None:
                self._line = self._target.connect(self._timeout_s)
            try:
                self._line.request("POST", self._target.path, body, headers)
                answer = self._line.getresponse()
                read = answer.read(_MAX_ANSWER + 1)
            except (OSError, HTTPException) as error:
                self.close()
                if kept and not isinstance(error, TimeoutError):
                    continue  # the receiver recognises a repeat
                raise DeliveryError(
                    f"{self._target.host} did not confirm message {message_id}",
                    hint=f"the line broke ({type(error).__name__}); it may have arrived",
                    in_doubt=True,
                ) from None
            if len(read) > _MAX_ANSWER or answer.will_close:
                self.close()
            return answer
        raise AssertionError("unreachable")

    def _refused(self, status: int, wait: str | None) -> DeliveryError:
        host = self._target.host
        if status == UNSIGNED or 300 <= status < 400:
            why = "does not take the signature" if status == UNSIGNED else "redirects elsewhere"
            return ChannelUnavailable(
                f"{host} {why} ({status})",
                hint=f"look at ZHIYIN_WEBHOOK_SECRET and {self._target.setting}; "
                "messages stay planned",
            )
        later = status in TRY_LATER or status >= 500
        return DeliveryError(
            f"{host} refused a message {'for now' if later else 'for good'} ({status})",
            retryable=later,
            retry_after_s=read_wait(wait, self._clock) if later else None,
        )


def _told(recipient: str, content: bytes) -> dict[str, Any]:
    """What the receiver is told of a message, by what it goes to."""
    if NUMBER.fullmatch(recipient):
        parts: dict[str, Any] = json.loads(content)
        return {"channel": "sms", "recipient": recipient, **parts}
    return {
        "channel": "email", "recipient": ascii_address(recipient),
        "content": base64.b64encode(content).decode("ascii"),
    }  # fmt: skip


def sign(keys: Sequence[bytes], message_id: str, stamp: int, body: bytes) -> str:
    """`v1,…` for each key, with a space in between: HMAC-SHA256 of `id.timestamp.body`."""
    signed = b"%s.%d.%s" % (message_id.encode(), stamp, body)
    return " ".join(
        "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode("ascii")
        for key in keys
    )


def read_secret(secret: str) -> bytes:
    """The key of a secret `whsec_<base64>`.

    Raises
    ------
    ConfigError
        If it is none, or shorter than 24 bytes.
    """
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (ValueError, binascii.Error):
        key = b""
    if not secret.startswith(PREFIX) or len(key) < MIN_SECRET:
        raise ConfigError(
            "ZHIYIN_WEBHOOK_SECRET is no secret of Standard Webhooks",
            hint=f"{PREFIX} and {MIN_SECRET} or more random bytes in base64",
        )
    return key


def read_wait(header: str | None, clock: Clock) -> float | None:
    """Seconds that a `Retry-After` asks for, a number or a date; None where it cannot be read."""
    if header is None:
        return None
    try:
        wait = float(min(int(header), MAX_WAIT_S))
    except ValueError:
        try:
            at = parsedate_to_datetime(header)
        except ValueError:
            return None
        wait = ((at if at.tzinfo else at.replace(tzinfo=UTC)) - clock.now()).total_seconds()
    return min(max(wait, 0.0), MAX_WAIT_S)


def open_webhook(settings: ActSettings, *, folder: Path = Path()) -> WebhookChannel:
    """The channel that a workspace's settings describe. It connects with the first message.

    Raises
    ------
    ConfigError
        If the address or the secret is missing or malformed.
    """
    return _open(settings, settings.webhook_url, "act.webhook_url")


def open_hook(settings: ActSettings, name: str) -> WebhookChannel:
    """The line to a system that journeys tell of their steps.

    Raises
    ------
    ConfigError
        As `open_webhook`.
    """
    return _open(settings, settings.hooks.get(name, ""), f"act.hooks.{name}")


def _open(settings: ActSettings, url: str, setting: str) -> WebhookChannel:
    secrets = webhook_secrets()
    if not url or not secrets:
        raise ConfigError(
            "no webhook is configured",
            hint=f"set {setting} in zhiyin.toml and the variable ZHIYIN_WEBHOOK_SECRET",
        )
    target = read_target(url, private=settings.webhook_private, setting=setting)
    return WebhookChannel(target, secrets, timeout_s=settings.webhook_timeout_s)
