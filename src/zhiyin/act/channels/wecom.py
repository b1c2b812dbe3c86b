"""Mass messages to customers by 企业微信 (WeCom): a member of staff confirms, then they go.

One call is made for all who get the same text from the same member. The platform gives no way to
recognise a repeat, so what is in doubt is looked for among the mass messages of that time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from zhiyin.act.channels.outgoing import read_target
from zhiyin.act.channels.wechat_api import OK, WechatApi, code_of, of_wecom
from zhiyin.act.create.text_message import read_text
from zhiyin.core.config import ActSettings, wecom_secrets
from zhiyin.core.errors import ConfigError, DeliveryError, InvalidParameter
from zhiyin.core.values import MassOutcome, MassReceipt

ADDRESS = "https://qyapi.weixin.qq.com"
MOST = 10_000  # recipients of one call
_FOLDER = "/cgi-bin/externalcontact"
_PAGE = 500
_LISTED = 100  # the most of a page of the list
_NOBODY = frozenset({41048, 40096, 84061})  # nobody of them can be sent it
_SHUT = frozenset({40003, 40013, 40056, 48002, 60011, 60020, 60111, 81013, 84074})
_STATES = {0: "waiting", 1: "sent", 2: "not_a_contact", 3: "provider_limit"}
_LONGEST = 128  # characters of an id


class WecomChannel:
    """Hands mass messages to one corporation's 企业微信."""

    name = "wecom"
    supports = frozenset({"mass"})

    def __init__(self, api: WechatApi, *, member: str = "") -> None:
        self._api, self._member = api, member

    def send(self, message_id: str, recipient: str, content: bytes) -> str:
        """Hand over a mass message to one customer; the platform's id.

        Raises
        ------
        DeliveryError
            As `send_all`; also where the platform leaves her out.
        """
        made = self.send_all([recipient], content, member=self._member)
        if recipient in made.left_out:
            raise DeliveryError(f"{self._api.host} leaves the recipient of {message_id} out")
        return made.provider_id

    def lookup(self, message_id: str) -> bool | None:
        """None: the platform does not know our ids; `find` looks by time."""
        return None

    def close(self) -> None:
        """Nothing to give back."""

    def send_all(self, recipients: Sequence[str], content: bytes, *, member: str) -> MassReceipt:
        """Make one mass message, which `member` (empty: whoever has the customers) is to confirm.

        Raises
        ------
        InvalidParameter
            If it is for nobody, for too many, or an id is none.
        DeliveryError
            `retryable`, `in_doubt`, or refused for all.
        """
        if not 0 < len(recipients) <= MOST:
            raise InvalidParameter(f"a mass message is for 1 to {MOST} customers")
        if not all(one.isascii() and 0 < len(one) <= _LONGEST for one in recipients):
            raise InvalidParameter("an external_userid is malformed")
        values: dict[str, Any] = {
            "chat_type": "single", "external_userid": list(recipients),
            "text": {"content": read_text(content).text},
        }  # fmt: skip
        if member:
            values["sender"] = member
        found = self._api.call(f"{_FOLDER}/add_msg_template", values, what="a mass message")
        code = code_of(found)
        if code in _SHUT:
            raise self._api.unavailable(code, "look at act.wecom_member and what the app may do")
        if code in _NOBODY:
            raise DeliveryError(f"{self._api.host} can send it to nobody of them ({code})")
        if code != OK:
            raise DeliveryError(f"{self._api.host} refused a mass message for good ({code})")
        left_out = frozenset(str(one) for one in found.get("fail_list") or ())
        return MassReceipt(str(found.get("msgid") or "accepted")[:_LONGEST], left_out)

    def outcomes(self, provider_id: str, *, member: str) -> list[MassOutcome]:
        """What became of a mass message, by every member who has to confirm it.

        Raises
        ------
        DeliveryError
            If the platform does not tell now.
        """
        members = [member] if member else self._members(provider_id)
        found: dict[str, MassOutcome] = {}
        for one in members:
            asked = {"msgid": provider_id, "userid": one}
            for row in self._pages("get_groupmsg_send_result", asked, "send_list"):
                made = _outcome(row)
                known = found.get(made.recipient)
                if known is None or _order(made) < _order(known):
                    found[made.recipient] = made
        return [found[one] for one in sorted(found) if one]

    def find(self, *, since: datetime, until: datetime) -> list[tuple[str, str]]:
        """Mass messages of the corporation that were made between two moments: (id, text)."""
        asked = {
            "chat_type": "single", "filter_type": 0,
            "start_time": int(since.timestamp()), "end_time": int(until.timestamp()),
        }  # fmt: skip
        return [
            (str(row["msgid"]), str((row.get("text") or {}).get("content") or ""))
            for row in self._pages("get_groupmsg_list_v2", asked, "group_msg_list", limit=_LISTED)
        ]

    def stop(self, provider_id: str) -> None:
        """Take a mass message from the members who have not confirmed it; stopping it again does no
        harm.

        Raises
        ------
        DeliveryError
            If the platform does not do it now, or at all.
        """
        asked = {"msgid": provider_id}
        found = self._api.call(f"{_FOLDER}/cancel_groupmsg_send", asked, what="that it stops")
        code = code_of(found)
        if code in _SHUT:
            raise self._api.unavailable(code, "look at what the app may do")
        if code != OK:
            raise DeliveryError(f"{self._api.host} does not stop a mass message ({code})")

    def _members(self, provider_id: str) -> list[str]:
        rows = self._pages("get_groupmsg_task", {"msgid": provider_id}, "task_list")
        return sorted({str(row["userid"]) for row in rows})

    def _pages(
        self, name: str, asked: Mapping[str, Any], rows: str, *, limit: int = _PAGE
    ) -> Iterator[dict[str, Any]]:
        cursor = ""
        while True:
            values = {**asked, "limit": limit} | ({"cursor": cursor} if cursor else {})
            found = self._api.call(f"{_FOLDER}/{name}", values, what="what became of it")
            if code_of(found) != OK:
                raise self._api.unavailable(code_of(found))
            yield from found.get(rows) or ()
            last, cursor = cursor, str(found.get("next_cursor") or "")
            if not cursor or cursor == last:
                return


def open_wecom(settings: ActSettings, *, folder: Path = Path()) -> WecomChannel:
    """The channel that the settings describe.

    Raises
    ------
    ConfigError
        If the corporation's id or secret is missing.
    """
    secrets = wecom_secrets()
    if secrets is None:
        raise ConfigError(
            "the channel wecom is not configured",
            hint="set the variables ZHIYIN_WECOM_CORPID and ZHIYIN_WECOM_SECRET",
        )
    target = read_target(ADDRESS, setting="act.channel")
    return WecomChannel(WechatApi(target, of_wecom(*secrets)), member=settings.wecom_member)


def _outcome(row: Mapping[str, Any]) -> MassOutcome:
    sent_at = row.get("send_time")
    at = datetime.fromtimestamp(int(sent_at), UTC) if sent_at else None
    state = _STATES.get(int(row.get("status", 0)), "waiting")
    return MassOutcome(str(row.get("external_userid") or ""), state, at)


def _order(one: MassOutcome) -> int:
    """Of what several members did, that it was sent counts first, then that one still may."""
    return ("sent", "waiting", "provider_limit", "not_a_contact").index(one.state)
