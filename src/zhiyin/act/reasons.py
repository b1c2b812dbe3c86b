"""What a message's `reason` can be, in words."""

from __future__ import annotations

from zhiyin.act import gate

GAVE_UP = "gave_up"

REASONS = gate.REASONS | {
    GAVE_UP: ("the provider did not take it, time and again", "服务商多次暂不接收"),
}
"""Code → (en, zh); those of the gate come first, in its order."""
