"""How many examples the dear properties get: few in every run, more in `make torture`."""

import os

TIMES = int(os.environ.get("TORTURE_TIMES", "1"))


def examples(number: int) -> int:
    """So many examples; in `make torture` a multiple of it."""
    return number * TIMES
