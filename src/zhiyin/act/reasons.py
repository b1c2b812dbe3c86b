"""What a message's `reason` can be, in words."""

from __future__ import annotations

from zhiyin.act import gate

GAVE_UP = "gave_up"
NOT_REACHED, NOT_CALLED = "not_reached", "not_called"
TOO_LONG = "too_long"
BOUNCED, BOUNCED_LATER = "bounced", "bounced_for_now"
UNCONFIRMED = "unconfirmed"
NOT_A_CONTACT, PROVIDER_LIMIT = "not_a_contact", "provider_limit"

REASONS = gate.REASONS | {
    BOUNCED: ("the address does not exist", "地址不存在，已退信"),
    BOUNCED_LATER: ("it came back: not taken for now", "暂时无法接收，已退信"),
    TOO_LONG: ("the text costs more messages than act.sms_segments", "短信超出允许的条数"),
    NOT_REACHED: ("called as often as was asked, and not reached", "多次致电均未接通"),
    NOT_CALLED: ("nobody called before its time was over", "到期前无人致电"),
    UNCONFIRMED: ("waits until a member of staff confirms it", "等待成员确认发送"),
    NOT_A_CONTACT: ("is no contact of the member any more", "已不是成员的客户"),
    PROVIDER_LIMIT: ("has had as many as the platform allows", "已达到平台的接收上限"),
    GAVE_UP: ("the provider did not take it, time and again", "服务商多次暂不接收"),
}
"""Code → (en, zh); those of the gate come first, in its order."""
