"""A robot in a group of staff in DingTalk (钉钉): a signed webhook, 20 messages a minute.

It speaks to the group that it was added to, never to a customer, so it is no channel of campaigns.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections import deque
from pathlib import Path
from typing import Any
from urllib.parse import quote

from zhiyin.act.channels.outgoing import Answer, Target, post_once, read_target
from zhiyin.act.create.text_message import read_text
from zhiyin.core.clock import Clock, SystemClock
from zhiyin.core.config import ActSettings, dingtalk_secrets
from zhiyin.core.errors import ChannelUnavailable, ConfigError, DeliveryError

ADDRESS = "https://oapi.dingtalk.com"
MOST, WITHIN_S = 20, 60.0  # what is more shuts the robot up for ten minutes
SHUT_UP_S = 600.0
TITLE = "title"
_LATER = frozenset({-1})
_TOO_FAST = frozenset({130101, 410100})
_SHUT = frozenset({
    40035, 300001, 300005, 310000, 400013, 400101, 400102, 400106,
})  # fmt: skip
"""The robot is gone or stopped, its group is closed, or the secret or the keyword is wrong."""


class DingtalkChannel:
    """Hands messages to one group. Whoever is named as recipient, the group reads them."""

    name = "dingtalk"
    supports: frozenset[str] = frozenset()

    def __init__(
        self, target: Target, token: str, secret: str, *, clock: Clock | None = None,
        timeout_s: float = 10.0,
    ) -> None:  # fmt: skip
        self._target, self._token, self._secret = target, token, secret
        self._clock, self._timeout_s = clock or SystemClock(), timeout_s
        self._sent: deque[float] = deque(maxlen=MOST)

    def send(self, message_id: str, recipient: str, content: bytes) -> str:
        """Hand one message over: markdown where it has a title, otherwise text.

        Raises
        ------
        DeliveryError
            `retryable` where it would be one too many in a minute or the server is busy,
            `in_doubt`, or refused for good.
        ChannelUnavailable
            If the robot may not speak.
        """
        now = self._clock.monotonic()
        if len(self._sent) == MOST and now - self._sent[0] < WITHIN_S:
            raise DeliveryError(
                f"{MOST} messages went to the group within a minute", retryable=True,
                retry_after_s=WITHIN_S - (now - self._sent[0]),
            )  # fmt: skip
        self._sent.append(now)
        body = json.dumps(_message(content), ensure_ascii=False).encode()
        answer = post_once(
            self._target, self._path(), {"Content-Type": "application/json; charset=utf-8"}, body,
            timeout_s=self._timeout_s, what=f"message {message_id}",
        )  # fmt: skip
        self._check(answer)
        return "accepted"

    def lookup(self, message_id: str) -> bool | None:
        """None: the group is not asked."""
        return None

    def close(self) -> None:
        """Nothing to give back."""

    def _path(self) -> str:
        stamp = int(self._clock.now().timestamp() * 1000)
        made = sign(self._secret, stamp)
        return f"/robot/send?access_token={quote(self._token)}&timestamp={stamp}&sign={made}"

    def _check(self, answer: Answer) -> None:
        host = self._target.host
        try:
            code = int(json.loads(answer.body)["errcode"])
        except (ValueError, KeyError, TypeError):
            if answer.status == 429:
                raise _too_fast(host, 429) from None
            raise DeliveryError(f"{host} answers in another way", in_doubt=True) from None
        if code == 0:
            return
        if code in _SHUT:
            raise ChannelUnavailable(
                f"{host} does not let the robot speak ({code})",
                hint="look at ZHIYIN_DINGTALK_TOKEN, ZHIYIN_DINGTALK_SECRET and the robot's rules",
            )
        if code in _TOO_FAST:
            raise _too_fast(host, code)
        raise DeliveryError(
            f"{host} refused a message {'for now' if code in _LATER else 'for good'} ({code})",
            retryable=code in _LATER,
        )


def sign(secret: str, stamp: int) -> str:
    """The signature of a moment in milliseconds: HMAC-SHA256, base64, as part of an address."""
    made = hmac.digest(secret.encode(), f"{stamp}\n{secret}".encode(), hashlib.sha256)
    return quote(base64.b64encode(made).decode(), safe="")


def open_dingtalk(settings: ActSettings, *, folder: Path = Path()) -> DingtalkChannel:
    """The robot of the environment's token and secret.

    Raises
    ------
    ConfigError
        If one of them is missing.
    """
    secrets = dingtalk_secrets()
    if secrets is None:
        raise ConfigError(
            "the robot of DingTalk is not configured",
            hint="set the variables ZHIYIN_DINGTALK_TOKEN and ZHIYIN_DINGTALK_SECRET",
        )
    return DingtalkChannel(read_target(ADDRESS, setting="act.alerts"), *secrets)


def _message(content: bytes) -> dict[str, Any]:
    message = read_text(content)
    title = message.params.get(TITLE, "")
    if title:
        return {"msgtype": "markdown", "markdown": {TITLE: title, "text": message.text}}
    return {"msgtype": "text", "text": {"content": message.text}}


def _too_fast(host: str, code: int) -> DeliveryError:
    return DeliveryError(
        f"{host} takes no more for now ({code})", retryable=True, retry_after_s=SHUT_UP_S
    )
