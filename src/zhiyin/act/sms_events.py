"""What providers of text messages tell afterwards: whether one arrived, and what was replied.

Aliyun (`SmsReport`, `SmsUp`) and Tencent Cloud push JSON, one event or a list, and sign nothing.
Twilio posts a signed form. Recorded shapes are those of their public documentation.
"""

from __future__ import annotations

import hmac
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from zhiyin.act.replies import SMS, take_reply
from zhiyin.act.returned import (
    BOUNCE,
    DELIVERED,
    HARD,
    OF_MESSAGE,
    SOFT,
    UNKNOWN_MESSAGE,
    UNSUBSCRIBE,
    Returned,
    take_returned,
)
from zhiyin.core.errors import InputError
from zhiyin.core.ledger import messages
from zhiyin.core.protocols import Vault

MIN_SECRET = 16  # characters of a secret in an address
_MOST = 1_000  # events of one request
_OURS = re.compile(r"m_[0-9a-f]{32}")
_EMPTY_NUMBER = frozenset({
    "1", "MK:0001", "MK0001", "MI:0073", "MI0073", "MI:0210", "MI0210", "CB:0001", "CB:0053",
    "DB:0101", "30005", "30006", "21211", "21614",
})  # fmt: skip
"""Codes of carriers and of Twilio that say: nobody has this number, or it takes no messages."""
_OF_CONTENT = re.compile(
    r"CONTENT|KEYWORD|SIGN|TEMPLATE|LIMIT|^IS_CLOSE$|^NO_ROUTE$|^MA:|^ID:0076$|^3000[47]$"
)
_REFUSED = frozenset({"USER_REJECT", "MOBILE_IN_BLACK", "21610"})
"""She told the provider or the carrier that she wants no more."""
_EMPTY_WORDS = ("空号", "号码不存在")
_ALSO_AWAY = ("停机", "关机", "不在服务区", "无法接通")
_TWILIO = {"delivered": DELIVERED, "undelivered": BOUNCE, "failed": BOUNCE}


@dataclass(frozen=True)
class Report:
    """Whether a message arrived: it is named by our id, or by the provider's receipt."""

    arrived: bool
    code: str
    words: str = ""
    message_id: str = ""
    receipt: str = ""


@dataclass(frozen=True)
class Reply:
    """What somebody wrote back."""

    number: str = field(repr=False)
    text: str = field(repr=False)
    key: str = ""


def is_secret(given: str, secrets: Sequence[str]) -> bool:
    """Whether an address held one of the secrets; one that is too short opens nothing."""
    return any(
        len(one) >= MIN_SECRET and hmac.compare_digest(given.encode(), one.encode())
        for one in secrets
    )


def read_pushed(provider: str, body: bytes) -> list[Report | Reply]:
    """The events of a request of `aliyun` or `tencent`.

    Raises
    ------
    InputError
        If it is none of theirs.
    """
    try:
        found = json.loads(body)
        rows = found if isinstance(found, list) else [found]
        if len(rows) > _MOST:
            raise ValueError("too many")
        reader = {"aliyun": _of_aliyun, "tencent": _of_tencent}[provider]
        return [one for row in rows if (one := reader(row)) is not None]
    except (ValueError, KeyError, TypeError, AttributeError):
        raise InputError(f"this is no event of {provider}") from None


def read_twilio(fields: Mapping[str, str]) -> list[Report | Reply]:
    """The event of a form that Twilio signed; nothing where it is not the end of a message."""
    kind = _TWILIO.get(fields.get("MessageStatus", ""))
    if kind is None:
        return []
    code = "" if kind == DELIVERED else fields.get("ErrorCode", "")
    return [Report(kind == DELIVERED, code, receipt=fields.get("MessageSid", ""))]


def weigh(code: str, words: str = "") -> str:
    """What a failure says of the number: `hard` nobody has it, `soft` not now, or nothing.

    Providers give one code for a number that does not exist, is shut off or out of reach: that is
    not now, so it suppresses after `act.soft_bounces` in a row.
    """
    if code in _EMPTY_NUMBER:
        return HARD
    if any(one in words for one in _EMPTY_WORDS) and not any(one in words for one in _ALSO_AWAY):
        return HARD
    return OF_MESSAGE if _OF_CONTENT.search(code) or code in _REFUSED else SOFT


def take_sms_events(
    connection: sa.Connection, found: Iterable[Report | Reply], *, vault: Vault, at: datetime,
    soft_bounces: int, calling_code: str,
) -> Counter[str]:  # fmt: skip
    """Take in events, each once: how many were taken, repeated, of unknown messages, no refusal."""
    counts: Counter[str] = Counter()
    for one in found:
        if isinstance(one, Reply):
            counts[take_reply(
                connection, vault=vault, number=one.number, text=one.text, at=at,
                calling_code=calling_code, key=one.key,
            )] += 1  # fmt: skip
            continue
        message_id = one.message_id or _find_sent(connection, one.receipt)
        if not message_id:
            counts[UNKNOWN_MESSAGE] += 1
            continue
        reports = list(_returned(message_id, one))
        counts += take_returned(connection, reports, at=at, soft_bounces=soft_bounces)
    return counts


def _find_sent(connection: sa.Connection, receipt: str) -> str | None:
    if not receipt:
        return None
    query = sa.select(messages.c.message_id).where(
        messages.c.receipt == receipt, messages.c.channel == SMS
    )
    return connection.execute(query.limit(1)).scalar_one_or_none()


def _returned(message_id: str, report: Report) -> Iterator[Returned]:
    key = report.receipt or message_id
    if report.arrived:
        yield Returned(message_id, DELIVERED, key)
        return
    weight = weigh(report.code, report.words)
    yield Returned(message_id, BOUNCE, key, report.code, weight=weight)
    if report.code in _REFUSED:
        yield Returned(message_id, UNSUBSCRIBE, key, report.code)


def _of_aliyun(row: Mapping[str, Any]) -> Report | Reply | None:
    if "success" in row:
        own = _OURS.fullmatch(str(row.get("out_id") or ""))
        return Report(
            row["success"] is True, str(row.get("err_code") or ""), str(row.get("err_msg") or ""),
            own.group() if own else "", str(row.get("biz_id") or ""),
        )  # fmt: skip
    if "content" in row:
        key = str(row.get("sequence_id") or row.get("send_time") or "")
        return Reply(str(row["phone_number"]), str(row["content"]), key)
    return None


def _of_tencent(row: Mapping[str, Any]) -> Report | Reply | None:
    if "report_status" in row:
        return Report(
            row["report_status"] == "SUCCESS", str(row.get("errmsg") or ""),
            str(row.get("description") or ""), receipt=str(row["sid"]),
        )  # fmt: skip
    if "text" in row:
        number = f"+{row['nationcode']}{row['mobile']}"
        return Reply(number, str(row["text"]), f"{row.get('time', '')}")
    return None
