"""Names of columns that say: this was written after the fact."""

from __future__ import annotations

import re
from collections.abc import Hashable

LATE = frozenset({
    "after", "actual", "cancel", "canceled", "cancelled", "cancellation", "close", "closed",
    "closing", "converted", "conversion", "deactivated", "deactivation", "duration", "end",
    "ended", "exit", "final", "outcome", "reason", "refund", "refunded", "resolution",
    "resolved", "response", "responded", "result", "returned", "settled", "settlement", "status",
    "terminated", "termination", "时长", "结果", "原因", "取消", "退订",
    "退款", "流失", "注销", "结束", "终止", "响应", "通话时长", "离开",
})  # fmt: skip
"""Words of names that often stand for something known after the fact."""
PLAIN = frozenset({
    "class", "customer", "day", "flag", "has", "id", "in", "is", "label", "month", "name", "number",
    "of", "per", "target", "the", "total", "type", "value", "was", "will", "year",
})  # fmt: skip
"""Words of a target's name that other columns share without being made from it."""
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|[\u4e00-\u9fff]+")


def telling_words(name: Hashable, target: Hashable) -> list[str]:
    """Words of a column's name that stand for something late, or are the target's own."""
    return sorted(_words_of(name) & (LATE | (_words_of(target) - PLAIN)))


def _words_of(name: Hashable) -> frozenset[str]:
    return frozenset(word.lower() for word in _WORD.findall(str(name)) if len(word) > 1)
