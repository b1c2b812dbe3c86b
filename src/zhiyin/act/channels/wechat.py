"""Subscription messages of a WeChat mini-programme (小程序订阅消息): one for each time she allowed.

The platform recognises no repeat, so what is in doubt is left to a person. Values are cut to what
each kind of keyword takes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from zhiyin.act.channels.outgoing import read_target
from zhiyin.act.channels.wechat_api import OK, WechatApi, code_of, of_wechat
from zhiyin.act.create.chat_message import longest_of
from zhiyin.act.create.content import clean
from zhiyin.act.create.text_message import TextMessage, read_text
from zhiyin.core.config import ActSettings, wechat_secret
from zhiyin.core.errors import ConfigError, DeliveryError, InvalidParameter

ADDRESS = "https://api.weixin.qq.com"
_OPENID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_LANGUAGES = {"zh": "zh_CN", "en": "en_US"}
_REFUSED = 43101  # she does not want it, or wants it no more
_NOBODY = 40003
_AT_ONCE = 43108  # two for one person at the same time
_SHUT = frozenset({40013, 40037, 40125, 40164, 41030, 48001, 48004, 50002})


class WechatChannel:
    """Hands subscription messages of one template to WeChat."""

    name = "wechat_subscribe"
    supports: frozenset[str] = frozenset()

    def __init__(
        self, api: WechatApi, *, template: str, params: Sequence[str], page: str = "",
        version: str = "formal",
    ) -> None:  # fmt: skip
        self._api, self._template = api, template
        self._params = dict(one.split("=", 1) for one in params)
        self._page, self._version = page, version

    def send(self, message_id: str, recipient: str, content: bytes) -> str:
        """Hand one message over; the platform's answer.

        Raises
        ------
        InvalidParameter
            If the recipient is no openid.
        DeliveryError
            `no_authorisation` where she refused; `retryable`, `in_doubt`, or refused for good.
        """
        if not _OPENID.fullmatch(recipient):
            raise InvalidParameter("an openid is malformed")
        message = read_text(content)
        values = {
            "touser": recipient, "template_id": message.template or self._template,
            "data": self._data(message_id, message),
            "miniprogram_state": self._version,
            "lang": _LANGUAGES.get(message.params.get("language", ""), "zh_CN"),
        }  # fmt: skip
        if page := message.page or self._page:
            values["page"] = page
        found = self._api.call(
            "/cgi-bin/message/subscribe/send", values, what=f"message {message_id}"
        )
        self._check(code_of(found))
        return str(found.get("msgid") or "accepted")[:200]

    def lookup(self, message_id: str) -> bool | None:
        """None: the platform is not asked."""
        return None

    def close(self) -> None:
        """Nothing to give back."""

    def _check(self, code: int) -> None:
        if code == OK:
            return
        host = self._api.host
        if code in _SHUT:
            hint = "look at act.wechat_template, act.wechat_page and ZHIYIN_WECHAT_SECRET"
            raise self._api.unavailable(code, hint)
        if code == _REFUSED:
            raise DeliveryError(f"{host}: she allows no such message", no_authorisation=True)
        if code == _AT_ONCE:
            raise DeliveryError(f"{host} does not take it now ({code})", retryable=True)
        raise DeliveryError(
            f"{host} refused a message for good ({code})",
            hint="47003: a value is not what its keyword takes; see act.wechat_params",
            no_such_address=code == _NOBODY,
        )

    def _data(self, message_id: str, message: TextMessage) -> dict[str, dict[str, str]]:
        params = message.params
        given = message.data or {key: params.get(name, "") for key, name in self._params.items()}
        made = {key: clean(value, limit=longest_of(key)) for key, value in given.items()}
        empty = sorted(key for key, value in made.items() if not value)
        if empty:
            raise DeliveryError(
                f"message {message_id} has nothing for {', '.join(empty)}",
                hint="the platform refuses a template with an empty keyword",
            )
        return {key: {"value": value} for key, value in made.items()}


def open_wechat(settings: ActSettings, *, folder: Path = Path()) -> WechatChannel:
    """The channel that the settings describe.

    Raises
    ------
    ConfigError
        If the mini-programme, its secret or the template is missing.
    """
    secret = wechat_secret()
    if not (secret and settings.wechat_app_id and settings.wechat_template):
        raise ConfigError(
            "the channel wechat_subscribe is not configured",
            hint="set act.wechat_app_id, act.wechat_template and ZHIYIN_WECHAT_SECRET",
        )
    target = read_target(ADDRESS, setting="act.channel")
    return WechatChannel(
        WechatApi(target, of_wechat(settings.wechat_app_id, secret)),
        template=settings.wechat_template, params=settings.wechat_params,
        page=settings.wechat_page, version=settings.wechat_version,
    )  # fmt: skip
