"""Receipts of text messages: what arrived is noted, a number that nobody has is left alone."""

import json

import pytest
import sqlalchemy as sa

from tests.unit.act.test_act_sms import AT, deliver, texting
from zhiyin.act import job
from zhiyin.act.sms_events import (
    Reply,
    Report,
    is_secret,
    read_pushed,
    read_twilio,
    take_sms_events,
    weigh,
)
from zhiyin.core.errors import DeliveryError, InputError
from zhiyin.core.ledger import consents, messages, reactions, suppressions
from zhiyin.testing.channel import RecordingChannel

__all__ = ["texting"]  # a fixture
ALIYUN = {
    "phone_number": "13912345678", "send_time": "2024-03-12 09:00:00",
    "report_time": "2024-03-12 09:00:05", "success": True, "err_code": "DELIVERED",
    "err_msg": "用户接收成功", "sms_size": "1", "biz_id": "900619746936498440^0",
}  # fmt: skip
TENCENT = {
    "user_receive_time": "2024-03-12 09:00:05", "nationcode": "86", "mobile": "13912345678",
    "report_status": "SUCCESS", "errmsg": "DELIVRD", "description": "成功",
    "sid": "5000:1",
}  # fmt: skip


def sent(shop, channel=None):
    """Ana's message, sent."""
    job.run(shop.context(), shop.settings.act)
    deliver(shop, channel or RecordingChannel())
    with shop.store.begin() as connection:
        query = sa.select(messages).where(messages.c.party_id == shop.party("ana"))
        return connection.execute(query).one()


def take(shop, found):
    with shop.store.begin() as connection:
        return take_sms_events(
            connection, found, vault=shop.vault, at=AT, soft_bounces=2, calling_code="86"
        )


def told(shop, table, column):
    with shop.store.begin() as connection:
        return list(connection.execute(sa.select(table.c[column])).scalars())


def aliyun(shop, **changes):
    return read_pushed("aliyun", json.dumps([{**ALIYUN, **changes}]).encode())


def test_what_arrived_is_noted_once_and_changes_nothing_else(texting):
    row = sent(texting)
    report = aliyun(texting, out_id=row.message_id)
    assert [take(texting, report), take(texting, report)] == [{"taken": 1}, {"repeated": 1}]
    assert texting.state("ana") == ("sent", None)
    assert told(texting, reactions, "kind") == ["delivered"]
    assert told(texting, suppressions, "reason") == []


def test_a_message_in_doubt_that_arrived_was_sent(texting):
    lost = DeliveryError("no answer", in_doubt=True)
    row = sent(texting, RecordingChannel(supports=(), errors={0: lost}))
    assert row.state == "unknown"
    take(texting, aliyun(texting, out_id=row.message_id))
    assert texting.state("ana") == ("sent", None)


@pytest.mark.parametrize(("code", "words"), [
    ("MK:0001", ""), ("MI:0210", ""), ("UNDELIV", "空号"), ("30005", ""),
])  # fmt: skip
def test_a_number_that_nobody_has_is_suppressed_at_once(texting, code, words):
    row = sent(texting)
    take(texting, aliyun(
        texting, out_id=row.message_id, success=False, err_code=code, err_msg=words
    ))  # fmt: skip
    assert texting.state("ana") == ("failed", "bounced")
    assert told(texting, suppressions, "reason") == ["bounce"]


@pytest.mark.parametrize(("code", "words", "weight"), [
    ("MOBILE_NOT_ON_SERVICE", "停机、空号、暂停服务、关机、不在服务区", "soft"),
    ("UNDELIV", "", "soft"), ("30003", "", "soft"), ("EXPIRED", "", "soft"),
    ("CONTENT_KEYWORD", "内容关键字拦截", "of_message"), ("30007", "", "of_message"),
    ("MOBILE_SEND_LIMIT", "", "of_message"), ("IS_CLOSE", "", "of_message"),
    ("30006", "", "hard"), ("1", "", "hard"), ("10", "", "soft"),
])  # fmt: skip
def test_a_failure_is_weighed_by_what_it_says_of_the_number(code, words, weight):
    assert weigh(code, words) == weight


def test_a_phone_that_is_off_is_left_alone_after_so_many_in_a_row(texting):
    row = sent(texting)
    take(texting, aliyun(
        texting, out_id=row.message_id, success=False, err_code="MOBILE_NOT_ON_SERVICE"
    ))  # fmt: skip
    assert texting.state("ana") == ("failed", "bounced_for_now")
    assert told(texting, suppressions, "reason") == []


def test_who_refused_at_the_provider_is_refused_here_too(texting):
    row = sent(texting)
    take(texting, aliyun(
        texting, out_id=row.message_id, success=False, err_code="USER_REJECT"
    ))  # fmt: skip
    assert told(texting, suppressions, "reason") == ["unsubscribed"]
    assert False in told(texting, consents, "granted")


def test_tencent_and_twilio_name_their_own_receipt(texting):
    row = sent(texting)
    report = read_pushed("tencent", json.dumps({**TENCENT, "sid": row.receipt}).encode())
    assert take(texting, report) == {"taken": 1}
    form = {"MessageSid": row.receipt, "MessageStatus": "undelivered", "ErrorCode": "30005"}
    assert take(texting, read_twilio(form)) == {"taken": 1}
    assert texting.state("ana") == ("failed", "bounced")
    assert read_twilio(form | {"MessageStatus": "queued"}) == []


def test_a_message_of_somebody_else_is_counted(texting):
    sent(texting)
    found = [*aliyun(texting, out_id="order 7", biz_id="x"), Report(True, "", receipt="nobody's")]
    assert take(texting, found) == {"unknown_message": 2}


def test_a_refusal_that_is_pushed_holds_for_the_number(texting):
    sent(texting)
    up = {
        "phone_number": "13912345678", "send_time": "2024-03-12 09:10:00", "content": "R",
        "sign_name": "知音", "dest_code": "1", "sequence_id": 1234567890,
    }  # fmt: skip
    found = read_pushed("aliyun", json.dumps([up]).encode())
    assert [take(texting, found), take(texting, found)] == [{"taken": 1}, {"repeated": 1}]
    reply = {"extend": "", "mobile": "13912345678", "nationcode": "86", "sign": "知音",
             "text": "请问几点开门", "time": 1710300000}  # fmt: skip
    assert take(texting, read_pushed("tencent", json.dumps(reply).encode())) == {"no_refusal": 1}
    assert told(texting, suppressions, "reason") == ["unsubscribed"]


@pytest.mark.parametrize("body", [b"{", b"7", b'[{"report_status": "FAIL"}]', b"[7]", b"[null]"])
def test_what_is_none_of_theirs_is_refused(body):
    with pytest.raises(InputError):
        read_pushed("tencent", body)


def test_an_event_shows_no_number_and_no_words_of_hers():
    assert "139" not in repr(Reply("+8613912345678", "R"))


def test_a_short_secret_opens_nothing():
    assert is_secret("a" * 16, ["b" * 16, "a" * 16])
    assert not is_secret("a" * 15, ["a" * 15])
    assert not is_secret("", [""])
