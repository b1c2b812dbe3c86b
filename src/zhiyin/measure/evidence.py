"""How strong the evidence for an effect is: four grades, from a lot that was drawn to nothing."""

from __future__ import annotations

from typing import Final, Literal

Evidence = Literal["randomised", "adjusted", "before_after", "none"]

RANDOMISED: Final = "randomised"
ADJUSTED: Final = "adjusted"
BEFORE_AFTER: Final = "before_after"
NO_EVIDENCE: Final = "none"

WORDS: Final[dict[str, tuple[str, str]]] = {
    RANDOMISED: (
        "strong: a lot decided who was held out",
        "强：由随机抽取决定谁不接收",
    ),
    ADJUSTED: (
        "medium: recipients against others made alike in what is known of both",
        "中：与已知特征调整到相近的未接收客户对比",
    ),
    BEFORE_AFTER: (
        "weak: recipients after the start against what was expected of them before",
        "弱：与按此前走势的预期对比",
    ),
    NO_EVIDENCE: ("none: not measured", "无：未测量"),
}
"""English and Chinese, strongest first."""
