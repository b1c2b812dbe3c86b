"""A shop of a few dozen states whose best policy can be computed: the truth that learners meet.

Each period a customer is in a state: periods since her last order, loyalty, and how tired
she is of being contacted; or she has left for good. An action raises the chance of an order, less
so the more tired she is; it costs something, a coupon also gives away margin; each contact tires
her, and who is tired may leave. What pays this week may cost the weeks after.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from zhiyin.core.config import Section
from zhiyin.decide.mdp.model import Mdp


class Offered(Section):
    """An action: its odds of an order, its cost, how much of the margin it gives away."""

    name: str
    odds: float = 1.0
    cost: float = 0.0
    given_away: float = 0.0


NOTHING = "none"
ACTIONS = (
    Offered(name=NOTHING),
    Offered(name="reminder", odds=1.6, cost=0.3),
    Offered(name="coupon", odds=3.0, cost=0.3, given_away=0.35),
    Offered(name="gift", odds=4.0, cost=4.0),
)


class TabularConfig(Section):
    """Size and habits of the shop; money in any unit."""

    actions: tuple[Offered, ...] = ACTIONS
    recency: int = 6  # periods since the last order, the last one and more
    fatigue: int = 4  # contacts lately: up by one, down by one in a period without
    orders: tuple[float, ...] = (0.06, 0.15, 0.32)  # P(order in a period) by loyalty, just bought
    cooling: float = 0.75  # of the odds, with each period without an order
    tiring: float = 0.55  # of what an action adds to the log odds, with each contact lately
    margin: float = 20.0
    grows: float = 0.3  # P(loyalty up | order)
    fades: float = 0.15  # P(loyalty down | no order, as long away as is told apart)
    leaves: float = 0.004  # P(leaves) in a period
    leaves_tired: float = 0.02  # more of it with each contact lately, when contacted again
    discount: float = 0.95


@dataclass(frozen=True)
class TabularShop:
    """The problem, its names, and what each state is: recency, loyalty, fatigue, 1 = has left."""

    mdp: Mdp
    actions: tuple[str, ...]
    states: np.ndarray  # (s, 4)


def usual_chances(shop: TabularShop, *, nothing: float = 0.55) -> np.ndarray:
    """What a shop does that tries things: nothing mostly, the rest evenly; P(action | state)."""
    others = (1 - nothing) / (len(shop.actions) - 1)
    chances = [nothing if name == NOTHING else others for name in shop.actions]
    return np.tile(chances, (len(shop.states), 1))


def tabular_shop(config: TabularConfig | None = None) -> TabularShop:
    """The shop of a configuration; the state that was left is the last one."""
    given = config or TabularConfig()
    loyal, tired = len(given.orders), given.fatigue
    size = given.recency * loyal * tired + 1
    kinds = [*np.ndindex(given.recency, loyal, tired)]
    places = {kind: place for place, kind in enumerate(kinds)}
    moves = np.zeros((len(given.actions), size, size))
    gains = np.zeros_like(moves)
    moves[:, -1, -1] = 1.0
    for number, action in enumerate(given.actions):
        contact = action.name != NOTHING
        for (recency, loyalty, fatigue), place in places.items():
            lift = np.log(action.odds) * given.tiring**fatigue
            base = given.orders[loyalty]
            line = np.log(base / (1 - base)) + np.log(given.cooling) * recency + lift
            order = 1 / (1 + np.exp(-line))
            margin = given.margin * (1 - action.given_away)
            gains[number, place] = -action.cost
            gains[number, place, -1] += order * margin  # she may order and leave
            leaves = given.leaves + (given.leaves_tired * fatigue if contact else 0.0)
            moves[number, place, -1] += leaves
            then = min(fatigue + 1, tired - 1) if contact else max(fatigue - 1, 0)
            up, away = min(loyalty + 1, loyal - 1), min(recency + 1, given.recency - 1)
            fades = given.fades if recency == given.recency - 1 else 0.0
            down = max(loyalty - 1, 0)
            for after, chance, earned in (
                ((0, up, then), order * given.grows, margin),
                ((0, loyalty, then), order * (1 - given.grows), margin),
                ((away, down, then), (1 - order) * fades, 0.0),
                ((away, loyalty, then), (1 - order) * (1 - fades), 0.0),
            ):
                moves[number, place, places[after]] += chance * (1 - leaves)
                gains[number, place, places[after]] = earned - action.cost
    start = np.zeros(size)
    for loyalty in range(loyal):
        start[places[0, loyalty, 0]] = 1 / loyal
    names = tuple(action.name for action in given.actions)
    rewards = (moves * gains).sum(axis=2).T
    mdp = Mdp(moves, rewards, start, given.discount, gains)
    return TabularShop(mdp, names, np.array([*((*kind, 0) for kind in kinds), (0, 0, 0, 1)]))
