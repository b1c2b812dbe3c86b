"""What a message's `reason` can be, in words."""

from __future__ import annotations

from zhiyin.act import gate

GAVE_UP = "gave_up"
BOUNCED, BOUNCED_LATER = "bounced", "bounced_for_now"

REASONS = gate.REASONS | {
    BOUNCED: ("the address does not exist", "地址不存在，已退信"),
    BOUNCED_LATER: ("it came back: not taken for now", "暂时无法接收，已退信"),
    GAVE_UP: ("the provider did not take it, time and again", "服务商多次暂不接收"),
}
"""Code → (en, zh); those of the gate come first, in its order."""
