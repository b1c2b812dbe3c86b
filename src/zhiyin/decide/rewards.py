"""What a decision brought: outcomes that fall into its window, less what it cost.

    reward = margin + later_share x later value - cost - fatigue_minor x earlier contacts

or, of the kind `conversion`, 1 where anything came and 0 where nothing did. Three things can be
said of a decision at a moment (`status`):

| status | when | reward |
|---|---|---|
| `open` | the window, and the days in which outcomes may still arrive, are not over | NaN |
| `settled` | they are over; an outcome that never came is 0 | a number |
| `unknown` | they are over, and an outcome has no amount | NaN |

Only settled decisions may be learned from: those whose reward came early would tell of the quick
rewards alone. An outcome that arrives after its decision was settled counts from then on (`late`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, get_args

import numpy as np
import pandas as pd

from zhiyin.core import columns as c
from zhiyin.core.errors import InputError, InvalidParameter

Kind = Literal["conversion", "margin"]
Credit = Literal["last", "every"]
OPEN, SETTLED, UNKNOWN = "open", "settled", "unknown"
_ENDS, _ROW, _LATE, _WHO = "ends_at", "row", "late", "who"


@dataclass(frozen=True)
class Reward:
    """What counts as the reward of a decision.

    `window_days`: outcomes from the decision on count for so long; `settle_days`: how much later
    they may arrive; `later_share`: how much of the value after the window counts; `fatigue_minor`:
    what each contact of the `fatigue_days` before makes another one cost; `nothing`: the action
    that is no contact, without cost or fatigue; `credit`: whether an outcome counts for the last
    decision before it, or for every one in whose window it falls.
    """

    kind: Kind = "conversion"
    window_days: float = 14.0
    settle_days: float = 2.0
    later_share: float = 0.0
    fatigue_minor: float = 0.0
    fatigue_days: float = 30.0
    nothing: str = "none"
    credit: Credit = "last"

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind) or self.credit not in get_args(Credit):
            raise InvalidParameter(f"no reward is of kind {self.kind!r}, credit {self.credit!r}")
        if not self.window_days > 0:
            raise InvalidParameter(f"window_days must be above 0, not {self.window_days}")
        others = (self.settle_days, self.later_share, self.fatigue_minor, self.fatigue_days)
        if min(others) < 0:
            raise InvalidParameter("days, shares and costs of a reward must be 0 or more")


def join_rewards(
    decisions: pd.DataFrame, outcomes: pd.DataFrame, *, reward: Reward, known_at: datetime
) -> pd.DataFrame:
    """The reward of each decision, as far as it is known at a moment.

    Parameters
    ----------
    decisions
        `decision_id`, `customer_id`, `decided_at`, `action`; for margins `cost_minor`, where there
        is one. Times without a zone are UTC.
    outcomes
        `customer_id`, `occurred_at`; `received_at`, where known: those received after `known_at`
        are not seen; for margins `margin_minor`, and `later_value_minor` where there is one;
        `decision_id` of those that are known to have come of one decision: they count for it alone.
    reward
        What counts.
    known_at
        The moment, aware.

    Returns
    -------
    In the order of `decisions`: `decision_id`, `reward`, `status`, `outcomes` (how many count),
    `late` (how many of them arrived after it was settled), `settles_at`.
    """
    made = _decisions(decisions, reward)
    at = pd.Timestamp(known_at)
    if at.tzinfo is None:
        raise InvalidParameter("known_at must have a time zone")
    seen = _outcomes(outcomes, reward)
    people = pd.concat([made[c.CUSTOMER_ID], seen[c.CUSTOMER_ID]]).astype(object)
    made[_WHO], seen[_WHO] = np.split(pd.factorize(people)[0], [len(made)])
    counted = _credited(made, seen[seen[c.RECEIVED_AT] <= at], reward)
    late = counted[c.RECEIVED_AT] > counted[c.SETTLES_AT]
    grouped = counted.assign(**{_LATE: late}).groupby(_ROW)
    number = grouped.size().reindex(made.index, fill_value=0)
    status = np.where(made[c.SETTLES_AT] <= at, SETTLED, OPEN)
    if reward.kind == "conversion":
        told = (number > 0).to_numpy(np.float64)
    else:
        sums = grouped[c.MARGIN_MINOR].agg(lambda amounts: amounts.sum(skipna=False))
        told = sums.reindex(made.index, fill_value=0.0).to_numpy(np.float64)
        told = told - _spent(made, reward)
        status = np.where((status == SETTLED) & np.isnan(told), UNKNOWN, status)
    return pd.DataFrame(
        {
            c.DECISION_ID: made[c.DECISION_ID],
            c.REWARD: np.where(status == SETTLED, told, np.nan),
            c.STATUS: status,
            c.OUTCOMES: number.to_numpy(),
            _LATE: grouped[_LATE].sum().reindex(made.index, fill_value=0).to_numpy(np.int64),
            c.SETTLES_AT: made[c.SETTLES_AT],
        }
    ).set_axis(decisions.index)


def _decisions(decisions: pd.DataFrame, reward: Reward) -> pd.DataFrame:
    needed = [c.DECISION_ID, c.CUSTOMER_ID, c.DECIDED_AT, c.ACTION]
    _require(decisions, needed, "decisions")
    made = decisions[needed].reset_index(drop=True)
    made[c.COST_MINOR] = (
        decisions[c.COST_MINOR].to_numpy(np.float64) if c.COST_MINOR in decisions else 0.0
    )
    made[c.DECIDED_AT] = _moments(made[c.DECIDED_AT])
    made[_ENDS] = made[c.DECIDED_AT] + pd.Timedelta(days=reward.window_days)
    made[c.SETTLES_AT] = made[_ENDS] + pd.Timedelta(days=reward.settle_days)
    if made[c.DECISION_ID].duplicated().any():
        raise InputError("a decision is there twice", hint="join each decision once")
    return made


def _outcomes(outcomes: pd.DataFrame, reward: Reward) -> pd.DataFrame:
    """When each happened and arrived, `margin_minor` with the share of later value."""
    margins = [c.MARGIN_MINOR] if reward.kind == "margin" else []
    _require(outcomes, [c.CUSTOMER_ID, c.OCCURRED_AT, *margins], "outcomes")
    made = outcomes[[c.CUSTOMER_ID, c.OCCURRED_AT]].reset_index(drop=True)
    made[c.OCCURRED_AT] = _moments(made[c.OCCURRED_AT])
    if c.DECISION_ID in outcomes:
        made[c.DECISION_ID] = outcomes[c.DECISION_ID].to_numpy(object)
    made[c.RECEIVED_AT] = made[c.OCCURRED_AT]
    if c.RECEIVED_AT in outcomes:
        received = _moments(outcomes[c.RECEIVED_AT]).reset_index(drop=True)
        made[c.RECEIVED_AT] = received.fillna(made[c.OCCURRED_AT])
    if margins:
        amounts = outcomes[c.MARGIN_MINOR].to_numpy(np.float64, copy=True)
        if reward.later_share and c.LATER_VALUE_MINOR in outcomes:
            amounts += reward.later_share * outcomes[c.LATER_VALUE_MINOR].to_numpy(np.float64)
        made[c.MARGIN_MINOR] = amounts
    return made


def _credited(made: pd.DataFrame, seen: pd.DataFrame, reward: Reward) -> pd.DataFrame:
    """One row per decision (`row`) and outcome that counts for it."""
    of_one = [c.DECISION_ID] if c.DECISION_ID in seen else []
    known = made[[_WHO, c.DECISION_ID, c.DECIDED_AT, _ENDS, c.SETTLES_AT]].assign(
        **{_ROW: made.index}
    )
    told = seen[c.DECISION_ID].notna() if of_one else pd.Series(data=False, index=seen.index)
    free = seen[~told].drop(columns=of_one)
    if reward.credit == "every":
        pairs = free.merge(known, on=_WHO)
    else:
        pairs = pd.merge_asof(
            free.sort_values(c.OCCURRED_AT, kind="stable"),
            known.sort_values([c.DECIDED_AT, c.DECISION_ID]),
            left_on=c.OCCURRED_AT, right_on=c.DECIDED_AT, by=_WHO,
        ).dropna(subset=[_ROW])  # fmt: skip
    if told.any():
        named = seen[told].merge(known.drop(columns=_WHO), on=c.DECISION_ID)
        pairs = pd.concat([pairs, named[pairs.columns]])
    inside = (pairs[c.DECIDED_AT] <= pairs[c.OCCURRED_AT]) & (pairs[c.OCCURRED_AT] < pairs[_ENDS])
    return pairs[inside].astype({_ROW: np.int64})


def _spent(made: pd.DataFrame, reward: Reward) -> np.ndarray:
    """Cost and fatigue of each decision, 0 where nothing was done."""
    contact = (made[c.ACTION] != reward.nothing).to_numpy()
    costs = np.where(contact, made[c.COST_MINOR], 0.0)
    if not reward.fatigue_minor or not len(made):
        return costs
    times = made[c.DECIDED_AT].astype(np.int64).to_numpy()  # microseconds
    reach = int(reward.fatigue_days * 86_400e6)
    line = made[_WHO].to_numpy(np.int64) * (int(np.ptp(times)) + reach + 1) + (
        times - times.min()
    )  # people far apart
    contacts = np.sort(line[contact])
    before = np.searchsorted(contacts, line, "left")
    before -= np.searchsorted(contacts, line - reach, "left")
    return costs + np.where(contact, reward.fatigue_minor * before, 0.0)


def _moments(times: pd.Series) -> pd.Series:
    return pd.to_datetime(times, utc=True).dt.as_unit("us")


def _require(given: pd.DataFrame, needed: list[str], what: str) -> None:
    if missing := [name for name in needed if name not in given]:
        raise InputError(f"{what} lack the columns {missing}", hint=f"needed: {', '.join(needed)}")
