# pyright: standard, reportAttributeAccessIssue=false, reportArgumentType=false
# (Ibis knows the type of a column when it runs)
"""Choices of a decision point and what came of them, from the lake: for who learns and who judges.

Jobs read as of their day; who looks in between gives no day and sees all that is there.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import ibis
import numpy as np
import pandas as pd
import pyarrow as pa

from zhiyin.core import columns as c
from zhiyin.core.clock import naive_utc
from zhiyin.core.decisions import BY_POINT, REVIEWED
from zhiyin.core.protocols import Store
from zhiyin.decide.points import ledger
from zhiyin.decide.points.definition import Definition
from zhiyin.decide.points.ledger import Stored
from zhiyin.decide.reasons import SENT_TO_PERSON
from zhiyin.decide.rewards import Reward, join_rewards
from zhiyin.govern.people import Kinship

_COMPLETED = "completed"
_ALWAYS = (c.DECISION_ID, c.PARTY_ID, c.DECIDED_AT, c.ACTION, c.POLICY, c.CONTEXT, c.VERSION,
           c.REASON)  # fmt: skip
PERSON = "person"
"""In place of a policy where a person chose the action."""


@dataclass(frozen=True)
class LogReader:
    """Reads the log of one point.

    Parameters
    ----------
    as_of
        The day before which things are seen; None: all.
    known_at
        The moment up to which outcomes may have arrived, aware.
    """

    store: Store
    point: Stored
    kinship: Kinship
    known_at: datetime
    as_of: date | None = None

    def choices(
        self, *, since: datetime | None = None, more: Sequence[str] = (), ramp: str = ""
    ) -> pd.DataFrame:
        """Choices whose reward may have settled since a moment (None: all), by time; `ramp`: made
        since the first one of which the column `ramp` begins so, and none where there is no such.

        Columns: decision, party, customer, `decided_at`, `action`, `policy`, `context`, `version`,
        `reason`, `cost_minor` and `more` of the table `decisions`. Where a person decided, what she
        decided and when, with the policy `PERSON`: it has a reward, and no propensity.
        """
        rows = self.store.read("decisions", as_of=self.as_of)
        rows = rows.filter(
            rows[c.DECIDED_BY] == BY_POINT, rows[c.CAMPAIGN_ID] == f"{BY_POINT}:{self.point.key}",
            rows[c.VERSION] > 0,
        )  # fmt: skip
        if ramp:
            since_when = rows.filter(rows[c.RAMP].startswith(ramp))[c.DECIDED_AT].min()
            first = since_when.to_pyarrow().as_py()
            counts = self.point.definition.reward
            if first is not None and counts.fatigue_minor:
                first -= timedelta(days=counts.fatigue_days)
            rows = rows.filter(
                ibis.literal(value=False) if first is None
                else rows[c.DECIDED_AT] >= ibis.literal(first)
            )  # fmt: skip
        if since is not None:
            counts = self.point.definition.reward
            reach = counts.window_days + counts.settle_days + counts.fatigue_days
            first = naive_utc(since - timedelta(days=reach))
            rows = rows.filter(rows[c.DECIDED_AT] >= ibis.literal(first))
        columns = (*_ALWAYS, *more)
        table = rows.select(*columns).order_by([c.DECIDED_AT, c.DECISION_ID]).to_pyarrow()
        made = pd.DataFrame({name: table[name].to_pylist() for name in columns}, dtype=object)
        made[c.DECIDED_AT] = table[c.DECIDED_AT].to_pandas()
        sent = (made[c.REASON] == SENT_TO_PERSON).to_numpy(np.bool_)
        if sent.any():
            made = self._with_persons(made, sent)
        pairs = zip(made[c.PARTY_ID], made[c.DECISION_ID], strict=True)
        chiefs = [self.kinship.chief(one) if one else own for one, own in pairs]
        made[c.CUSTOMER_ID] = np.array(chiefs, dtype=object)
        made[c.COST_MINOR] = self._costs(made)
        return made

    def rewards(self, rows: pd.DataFrame) -> pd.DataFrame:
        """What each of the choices brought, as `rewards.join_rewards` gives it."""
        counts = self.point.definition.reward
        outcomes = self._outcomes(
            rows, kinds=counts.outcomes, orders=counts.orders, share=counts.margin_share
        )
        reward = reward_of(self.point.definition)
        return join_rewards(rows, outcomes, reward=reward, known_at=self.known_at)

    def seen(self, rows: pd.DataFrame, kind: str, *, window_days: float) -> pd.DataFrame:
        """Whether an outcome of a kind came within days of each choice: as `rewards`, 1 or 0."""
        counts = self.point.definition.reward
        outcomes = self._outcomes(rows, kinds=(kind,), orders=False, share=1.0)
        reward = Reward(
            "conversion", window_days=window_days, settle_days=counts.settle_days,
            nothing=self.point.definition.default, credit="every",
        )  # fmt: skip
        return join_rewards(rows, outcomes, reward=reward, known_at=self.known_at)

    def _with_persons(self, made: pd.DataFrame, sent: np.ndarray) -> pd.DataFrame:
        told = self.store.read("outcomes", as_of=self.as_of)
        told = told.filter(told[c.KIND].startswith(REVIEWED))
        table = told.select(c.DECISION_ID, c.ACTION, c.OCCURRED_AT).to_pyarrow()
        ids, actions = (table[name].to_pylist() for name in (c.DECISION_ID, c.ACTION))
        times = table[c.OCCURRED_AT].to_pandas()
        rows = {one: row for row, one in enumerate(made[c.DECISION_ID]) if sent[row]}
        pairs = [(rows[one], n) for n, one in enumerate(ids) if one in rows]
        places, answers = [row for row, _ in pairs], [n for _, n in pairs]
        made.loc[places, c.ACTION] = [actions[n] for n in answers]
        moments = made[c.DECIDED_AT].to_numpy(copy=True)
        moments[places] = times.to_numpy()[answers]
        made[c.DECIDED_AT] = moments
        made.loc[places, c.POLICY] = PERSON
        return made.sort_values([c.DECIDED_AT, c.DECISION_ID], ignore_index=True)

    def _costs(self, rows: pd.DataFrame) -> np.ndarray:
        """What the chosen action cost, by the version under which it was chosen."""
        known: dict[tuple[int, str], float] = {}
        with self.store.begin() as connection:
            for version in sorted(set(rows[c.VERSION].tolist())):
                held = ledger.find(connection, self.point.key, version=int(version)).definition
                known |= {(version, one.name): float(one.cost_minor) for one in held.actions}
        pairs = zip(rows[c.VERSION], rows[c.ACTION], strict=True)
        return np.array([known.get(pair, 0.0) for pair in pairs], np.float64)

    def _outcomes(
        self, rows: pd.DataFrame, *, kinds: Sequence[str], orders: bool, share: float
    ) -> pd.DataFrame:
        """What was reported of the kinds (none: all), and ordered, from the first choice on."""
        first = ibis.literal(rows[c.DECIDED_AT].min().to_pydatetime())
        told = self.store.read("outcomes", as_of=self.as_of)
        told = told.filter(told[c.OCCURRED_AT] >= first)
        told = told.filter(
            told[c.KIND].isin(kinds) if kinds else ~told[c.KIND].startswith(REVIEWED)
        )
        names = (c.PARTY_ID, c.OCCURRED_AT, c.RECEIVED_AT, c.DECISION_ID, c.ACTION)
        parts = [told.select(*names, **{c.MARGIN_MINOR: told[c.VALUE_BASE_MINOR]}).to_pyarrow()]
        if orders:
            sold = self.store.read("orders", as_of=self.as_of)
            sold = sold.filter(sold[c.ORDERED_AT] >= first, sold[c.STATUS] == _COMPLETED)
            renamed = {
                c.OCCURRED_AT: sold[c.ORDERED_AT], c.MARGIN_MINOR: sold[c.AMOUNT_BASE_MINOR]
            }  # fmt: skip
            parts.append(sold.select(c.PARTY_ID, **renamed).to_pyarrow())
        made = pa.concat_tables(parts, promote_options="default")
        named = made[c.DECISION_ID].to_pylist()
        found = _named(named, made[c.ACTION].to_pylist(), rows)
        parties = made[c.PARTY_ID].to_pylist()
        amounts = [
            np.nan if one is None else one * share for one in made[c.MARGIN_MINOR].to_pylist()
        ]
        chiefs = [one and self.kinship.chief(one) for one in parties]
        values = pd.DataFrame({
            c.CUSTOMER_ID: np.array(chiefs, object), c.OCCURRED_AT: made[c.OCCURRED_AT].to_pandas(),
            c.RECEIVED_AT: made[c.RECEIVED_AT].to_pandas(),
            c.MARGIN_MINOR: np.array(amounts, np.float64), c.DECISION_ID: np.array(found, object),
        })  # fmt: skip
        elsewhere = [bool(of) and to is None for of, to in zip(named, found, strict=True)]
        nobodys = [not who and not of for who, of in zip(parties, named, strict=True)]
        return values[~(np.array(elsewhere, bool) | np.array(nobodys, bool))]


def reward_of(point: Definition) -> Reward:
    """What counts as the reward of the point's choices."""
    counts = point.reward
    return Reward(
        counts.kind, window_days=counts.window_days, settle_days=counts.settle_days,
        fatigue_minor=counts.fatigue_minor, fatigue_days=counts.fatigue_days,
        nothing=point.default, credit=counts.credit,
    )  # fmt: skip


def numbers_of(texts: Sequence[str | None], names: tuple[str, ...]) -> np.ndarray:
    """What choices saw, (rows, d) in the order of the names; NaN: not known."""
    rows = [_numbers(one, names) for one in texts]
    return np.array(rows, np.float64).reshape(len(rows), len(names))


def _numbers(text: str | None, names: tuple[str, ...]) -> list[float]:
    held: Mapping[str, float | None] = json.loads(text) if text else {}
    return [np.nan if (x := held.get(name)) is None else x for name in names]


def _named(
    named: list[str | None], actions: list[str | None], rows: pd.DataFrame
) -> list[str | None]:  # fmt: skip
    """The row of the choice that each outcome names: of several actions the one that it is of, the
    first where that is not told. None: it names no choice of this point.
    """
    ids = rows[c.DECISION_ID].tolist()
    own, of_action = set(ids), dict[tuple[str, str | None], str]()
    for one, action in zip(ids, rows[c.ACTION].tolist(), strict=True):
        of_action[one.partition(".")[0], action] = one
    return [
        of_action.get((of, action), of if of in own else None) if of else None
        for of, action in zip(named, actions, strict=True)
    ]
