"""Calls to the servers of WeChat and of 企业微信 (WeCom): an access token first, then JSON.

A token is kept until shortly before it ends. One that the server does not know any more is asked
for again once: a call with such a token has done nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from urllib.parse import quote, urlencode

from zhiyin.act.channels.outgoing import Target, post_once
from zhiyin.core.clock import Clock, SystemClock
from zhiyin.core.errors import ChannelUnavailable, DeliveryError

OK, BUSY = 0, -1
NO_TOKEN = frozenset({40001, 40014, 42001})
TOO_MUCH = frozenset({BUSY, 45009, 45011, 45033})
"""What may be taken later: the server is busy, or too much was asked for."""
EARLY_S = 300  # a token is not used in the last minutes of its time
_JSON: Mapping[str, str] = {"Content-Type": "application/json; charset=utf-8"}


@dataclass(frozen=True)
class TokenRequest:
    """How a token is asked for. `hint` says where its secrets are."""

    method: str
    path: str = field(repr=False)
    body: bytes = field(repr=False)
    hint: str


def of_wecom(corp: str, secret: str) -> TokenRequest:
    """With the corpid and the secret of an application that may see customers."""
    asked = urlencode({"corpid": corp, "corpsecret": secret})
    hint = "look at ZHIYIN_WECOM_CORPID, ZHIYIN_WECOM_SECRET and the trusted addresses"
    return TokenRequest("GET", f"/cgi-bin/gettoken?{asked}", b"", hint)


def of_wechat(app_id: str, secret: str) -> TokenRequest:
    """With AppID and AppSecret; the stable kind does not end the tokens of others."""
    values = {"grant_type": "client_credential", "appid": app_id, "secret": secret}
    hint = "look at act.wechat_app_id, ZHIYIN_WECHAT_SECRET and the list of allowed addresses"
    return TokenRequest("POST", "/cgi-bin/stable_token", json.dumps(values).encode(), hint)


class WechatApi:
    """One server with one account."""

    def __init__(
        self, target: Target, request: TokenRequest, *, clock: Clock | None = None,
        timeout_s: float = 10.0,
    ) -> None:  # fmt: skip
        self.host = target.host
        self._target, self._request, self._timeout_s = target, request, timeout_s
        self._clock = clock or SystemClock()
        self._token, self._ends_at = "", self._clock.now()

    def call(self, path: str, values: Mapping[str, Any], *, what: str) -> dict[str, Any]:
        """The JSON that the server answers, its `errcode` included, whatever it says.

        Raises
        ------
        ChannelUnavailable
            If nobody can be reached, or there is no token.
        DeliveryError
            `in_doubt` where the line broke or the answer is none; `retryable` where the server is
            busy.
        """
        body = json.dumps(values, ensure_ascii=False).encode()
        for again in (True, False):
            asked = f"{path}?access_token={quote(self._current())}"
            answer = post_once(
                self._target, asked, _JSON, body, timeout_s=self._timeout_s, what=what
            )
            found = _read(answer.body)
            if found is None:
                if answer.status == 429:
                    raise DeliveryError(f"{self.host} asks to come later (429)", retryable=True)
                raise DeliveryError(f"{self.host} answers in another way", in_doubt=True)
            code = code_of(found)
            if code not in NO_TOKEN:
                break
            self._token = ""
            if not again:
                raise self._shut(code)
        if code in TOO_MUCH:
            raise DeliveryError(f"{self.host} does not take it now ({code})", retryable=True)
        return found

    def unavailable(self, code: int, hint: str = "") -> ChannelUnavailable:
        """The error of an account or a setting that is wrong."""
        return ChannelUnavailable(
            f"{self.host} does not let us send ({code})", hint=hint or self._request.hint
        )

    def _shut(self, code: int) -> ChannelUnavailable:
        return ChannelUnavailable(
            f"{self.host} gives no access token ({code})", hint=self._request.hint
        )

    def _current(self) -> str:
        now = self._clock.now()
        if self._token and now < self._ends_at:
            return self._token
        request = self._request
        try:
            answer = post_once(
                self._target, request.path, _JSON, request.body, timeout_s=self._timeout_s,
                what="a token", method=request.method,
            )  # fmt: skip
        except ChannelUnavailable:
            raise
        except DeliveryError as error:  # nothing was handed over yet
            raise ChannelUnavailable(error.message, hint="messages stay planned") from None
        found = _read(answer.body) or {"errcode": answer.status}
        token = str(found.get("access_token") or "")
        if code_of(found) != OK or not token:
            raise self._shut(code_of(found))
        kept_s = max(int(found.get("expires_in", 0)) - EARLY_S, 0)
        self._token, self._ends_at = token, now + timedelta(seconds=kept_s)
        return token


def code_of(found: Mapping[str, Any]) -> int:
    """The error code of an answer; 0 where all is well."""
    try:
        return int(found.get("errcode") or OK)
    except (TypeError, ValueError):
        return BUSY


def _read(body: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(body)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
