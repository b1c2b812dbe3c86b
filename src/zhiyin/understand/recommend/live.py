"""The door of requests: who asks for what, what may be used of her, the list as JSON.

It reads the online store, what was tracked lately and consents; what it decided is handed back for
the journal. It never reads the lake.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
import pyarrow as pa

from zhiyin.core import columns as c
from zhiyin.core.clock import Clock
from zhiyin.core.decisions import Shown
from zhiyin.core.errors import InvalidParameter, NotEnoughData, NotFound
from zhiyin.core.generation import Generation
from zhiyin.core.placements import DEFAULT, PlacementSettings, RecommendSettings
from zhiyin.core.protocols import Online
from zhiyin.govern.gate import PERSONALISATION, Consent, use_state
from zhiyin.govern.packed import joins_of
from zhiyin.understand.recommend.catalogue import renew
from zhiyin.understand.recommend.serving import PERSONAL, Ask, Place, fill, say_why
from zhiyin.understand.recommend.shelf import Shelf

PROFILING = "profiling"
MOST = 100
"""Products that a request may ask for, and products of a basket that it may name."""
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True)
class Recent:
    """What was tracked of a person lately: product ids with seconds since 1970, latest first."""

    seen: Sequence[tuple[str, float]] = ()
    bought: Sequence[tuple[str, float]] = ()


ReadConsents = Callable[[Sequence[str]], Iterable[Consent]]
"""The consent lines of parties, of every purpose."""
ReadRecent = Callable[[Sequence[str]], Recent]
"""What was tracked of parties in the last days."""


@dataclass(frozen=True)
class Request:
    """What a caller asks for.

    `customer`: parties that the id he gave may be, `session`: the party of a visitor; both empty
    where nobody is named.
    """

    placement: str = DEFAULT
    customer: tuple[str, ...] = ()
    session: str = ""
    item: str = ""
    basket: tuple[str, ...] = ()
    k: int | None = None


@dataclass(frozen=True)
class Answer:
    """The body of the answer, and what the journal keeps; None where the list was for nobody."""

    body: bytes
    shown: Shown | None


class Door:
    """Answers requests of one process.

    Parameters
    ----------
    online
        Where the current generation is.
    currency
        Of the workspace.
    consents, recent
        How consents and what was tracked lately are read.
    aside
        Runs what takes a while beside the requests; None: at once.
    """

    def __init__(
        self,
        online: Online,
        settings: RecommendSettings,
        *,
        currency: str,
        clock: Clock,
        consents: ReadConsents,
        recent: ReadRecent,
        aside: Callable[[Callable[[], object]], object] | None = None,
    ) -> None:
        self._online = online
        self._settings = settings
        self._currency = currency
        self._clock = clock
        self._consents = consents
        self._recent = recent
        self._aside = aside
        self._shelf: Shelf | None = None
        self._taken: Generation | None = None  # the shelf's, or that of the one being made
        self._products: pa.Table | None = None  # as they are now, where that is told

    def shelf(self) -> Shelf:
        """The current generation; the one before it while the new one is made ready aside.

        Raises
        ------
        NotEnoughData
            If no turn has published one.
        """
        held = self._online.generation()
        if held is None:
            raise NotEnoughData("there are no recommendations yet", hint="zhiyin run")
        if self._shelf is None:
            return self._take(held)
        if self._taken is not held:
            if self._aside is None:
                return self._take(held)
            self._taken = held
            self._aside(lambda: self._take(held))
        return self._shelf

    def renew(self, products: pa.Table) -> None:
        """Take products as they are now, rows of the table with at least `catalogue.COLUMNS`, for
        this generation and later ones.
        """
        self._products = products
        held = self._online.generation()
        if held is not None:
            self._take(held)

    def _take(self, held: Generation) -> Shelf:
        shown = held
        if self._products is not None:
            shown = renew(held, self._products, settings=self._settings, currency=self._currency)
        made = Shelf(shown)
        self._taken, self._shelf = held, made
        return made

    def handle(self, request: Request, decision_id: str) -> Answer:
        """The list for a request.

        Raises
        ------
        NotFound
            If there is no such placement.
        InvalidParameter
            If it asks for more, or names more, than `MOST`.
        NotEnoughData
            If no turn has published anything.
        """
        rule = self._rule(request)
        shelf, now = self.shelf(), self._clock.now()
        row, parties = _who(shelf.generation, request)
        party = next((one for one in request.customer if one in parties), request.session)
        personal = bool(parties) and self._may_use(shelf.generation, row, parties, now)
        recent = self._tracked(parties, now) if personal and rule.personalised else Recent()
        if not personal:
            row = -1  # neither her list nor what she bought
        item = shelf.codes.get(request.item) if request.item else None
        ask = Ask(
            row, item, shelf.codes_of(request.basket), shelf.codes_of(_latest_first(recent)),
            {shelf.codes[one]: at for one, at in recent.bought if one in shelf.codes},
            rule.k if request.k is None else request.k, personal, now.timestamp(),
        )  # fmt: skip
        places = fill(shelf, ask, rule)
        source = places[0].source if places else ""
        personal = any(one.source in PERSONAL for one in places)
        body = _say(shelf, request, decision_id, source, places, personal=personal)
        if not parties:
            return Answer(body, None)
        shown = Shown(
            decision_id, int(now.timestamp() * 1_000_000), party, parties[0], request.placement,
            tuple(rule.chain), source, tuple(shelf.ids[one.code].decode() for one in places),
            shelf.generation.number, personal,
        )  # fmt: skip
        return Answer(body, shown)

    def _rule(self, request: Request) -> PlacementSettings:
        rule = self._settings.rules_of(request.placement)
        if rule is None:
            known = ", ".join(sorted({DEFAULT, *self._settings.placements}))
            raise NotFound("there is no such placement", hint=f"placements: {known}")
        if request.k is not None and not 1 <= request.k <= MOST:
            raise InvalidParameter(f"k must be 1..{MOST}")
        if len(request.basket) > MOST:
            raise InvalidParameter(f"a basket may name {MOST} products")
        return rule

    def _tracked(self, parties: Sequence[str], now: datetime) -> Recent:
        found = self._recent(parties)
        since = now.timestamp() - self._settings.session_hours * 3600
        return Recent([one for one in found.seen if one[1] > since], found.bought)

    def _may_use(self, held: Generation, row: int, parties: Sequence[str], now: datetime) -> bool:
        """Whether the list may be made of what is known of her: the strictest of her records wins,
        as at the gate.
        """
        lines = list(self._consents(parties))
        needs = self._settings.consent == "opt_in"
        if not lines:
            return not needs
        joins = joins_of(held, row)
        states = [
            use_state(lines, purpose=purpose, at=now, joins=joins)
            for purpose in (PERSONALISATION, PROFILING)
        ]
        return "refused" not in states and (not needs or states[0] == "granted")


def _who(held: Generation, request: Request) -> tuple[int, list[str]]:
    """The row of the customer, and every party whose consents count; none: nobody is named."""
    row = next((found for one in request.customer if (found := held.row_of(one)) >= 0), -1)
    parties = held.parties_of(row) if row >= 0 else list(request.customer)
    return row, [*parties, request.session] if request.session else parties


def _latest_first(recent: Recent) -> list[str]:
    """What speaks for a person until the next turn knows it: looked at and bought, latest first."""
    both = sorted([*recent.seen, *recent.bought], key=lambda one: -one[1])
    return list(dict.fromkeys(product for product, _ in both))


def _say(
    shelf: Shelf,
    request: Request,
    decision_id: str,
    source: str,
    places: Sequence[Place],
    *,
    personal: bool,
) -> bytes:
    """The answer as JSON; products and names were encoded when the generation was made."""
    about: dict[str, Any] = {
        "recommendation_id": decision_id, "placement": request.placement, "source": source,
        "personalised": personal, "generation": shelf.generation.number,
        c.AS_OF_ON: shelf.generation.about[c.AS_OF_ON],
    }  # fmt: skip
    items: list[bytes] = []
    for rank, one in enumerate(places, start=1):
        kind, english, chinese = say_why(shelf, one)
        why = (
            f',"rank":{rank},"score":{one.score:.6f},"source":"{one.source}",'
            f'"reason":{{"kind":"{kind}","en":"{english}","zh":"{chinese}"}}}}'
        )
        items.append(b"{" + shelf.json[one.code] + why.encode())
    return _encode(about)[:-1] + b',"items":[' + b",".join(items) + b"]}"
