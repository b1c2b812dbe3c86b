# pyright: basic, reportOperatorIssue=false, reportArgumentType=false
# pyright: reportAttributeAccessIssue=false, reportCallIssue=false
# Ibis types columns as `Value`, which has no operators of its kind: checked by tests instead.
"""How audiences overlap: pair by pair, from one pass over who is in which."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import ibis

from zhiyin.core import columns as c
from zhiyin.core.errors import InvalidParameter

MAX_AUDIENCES = 40


@dataclass(frozen=True)
class Overlap:
    """Two audiences: how many are in both, in one only, and how alike they are.

    `jaccard` = both / either, in [0, 1]; 0 where nobody is in either.
    """

    one: str
    other: str
    both: int
    only_one: int
    only_other: int

    @property
    def jaccard(self) -> float:
        """Shared members over all members of the two."""
        either = self.both + self.only_one + self.only_other
        return self.both / either if either else 0.0


def overlaps(flags: ibis.Table) -> tuple[Overlap, ...]:
    """Every pair of audiences, the most alike first, ties by name.

    Parameters
    ----------
    flags
        What `Compiled.flags` gives: `customer_id` and a boolean per audience; at most
        `MAX_AUDIENCES` of them.

    Raises
    ------
    InvalidParameter
        If there are fewer than two audiences, or too many.
    """
    names = [name for name in flags.columns if name != c.CUSTOMER_ID]
    if not 2 <= len(names) <= MAX_AUDIENCES:
        raise InvalidParameter(
            f"{len(names)} audiences cannot be compared", hint=f"give 2 to {MAX_AUDIENCES}"
        )
    pairs = list(combinations(range(len(names)), 2))
    sums = {f"s{i}": flags[name].sum() for i, name in enumerate(names)}
    sums |= {f"b{i}_{j}": (flags[names[i]] & flags[names[j]]).sum() for i, j in pairs}
    row = flags.aggregate(**sums).to_pyarrow().to_pylist()[0]
    made = []
    for i, j in pairs:
        one, other, both = (int(row[key] or 0) for key in (f"s{i}", f"s{j}", f"b{i}_{j}"))
        made.append(Overlap(names[i], names[j], both, one - both, other - both))
    return tuple(sorted(made, key=lambda pair: (-pair.jaccard, pair.one, pair.other)))
