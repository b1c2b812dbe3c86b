"""Who gets which action where money, channels and patience are short."""

from zhiyin.decide.budget.allocation import Allocation, allocate

__all__ = ["Allocation", "allocate"]
