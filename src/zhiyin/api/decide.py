"""`POST /v1/decide` and `POST /v1/outcome`: raw ASGI apps, because a page waits for them.

Both answer when what was decided, or reported, is on the disk. The same `decision_id` gets the same
answer as long as this process remembers it; afterwards, or from another process, the same choice
where points, policies and what is known are the same, for the lot is drawn from the id. The lake
keeps one of them.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Annotated, Any

import msgspec
from msgspec import Meta
from starlette.types import Receive, Scope, Send

from zhiyin.api.group_commit import GroupCommit
from zhiyin.api.live_reads import LiveReads, answer, refuse
from zhiyin.app import Workspace
from zhiyin.collect.received import DECISION, OUTCOME
from zhiyin.core.currency import EXPONENTS
from zhiyin.core.decisions import DEFAULT_POLICY, REVIEWED, Decided, Outcome
from zhiyin.core.errors import Busy, InputError, InvalidParameter, TooLarge, ZhiyinError
from zhiyin.core.log import get_logger
from zhiyin.decide.live import Ask, Asked, Door
from zhiyin.decide.reviews.ledger import put as put_reviews
from zhiyin.govern.quick import QuickGate, messages_of_one, suppressed_of_one
from zhiyin.store.ledger import transaction
from zhiyin.store.quick import QuickRead

DECIDE, REPORT = "/v1/decide", "/v1/outcome"
PERMISSION = "decision:ask"
MOST_REMEMBERED = 50_000
"""Answers that a process remembers by their id."""
EARLY = timedelta(days=1)
"""An outcome may be so far in the future: clocks differ."""
OLDEST = timedelta(days=3_650)
"""Nobody reports what came of a decision later."""
MAX_BODY = 65_536
_MAX_MINOR = 10**15
_pack = msgspec.msgpack.Encoder().encode
_say = msgspec.json.Encoder().encode
Id = Annotated[str, Meta(max_length=256)]
Key = Annotated[str, Meta(min_length=1, max_length=256)]
Name = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9_-]{0,47}$")]
Kind = Annotated[str, Meta(pattern=r"^[\w.:-]{1,48}$")]
Action = Annotated[str, Meta(pattern=r"^[\w.:-]{0,48}$")]


class Wanted(msgspec.Struct, forbid_unknown_fields=True):
    """A choice that is asked for."""

    placement: Name
    customer: Id = ""
    anonymous_id: Id = ""
    context: dict[str, float | None] = {}  # msgspec copies it
    k: int | None = None
    deadline_ms: float | None = None
    decision_id: Id = ""


class Reported(msgspec.Struct, forbid_unknown_fields=True):
    """What came of a decision, or what a customer did."""

    outcome_id: Key
    kind: Kind
    decision_id: Id = ""
    action: Action = ""
    customer: Id = ""
    anonymous_id: Id = ""
    value_minor: int | None = None
    currency: str = ""
    at: Annotated[datetime, Meta(tz=True)] | None = None


class Decisions:
    """What one server process of a workspace decides."""

    def __init__(self, shop: Workspace, journal: GroupCommit, reads: LiveReads) -> None:
        self._shop, self._journal, self._reads = shop, journal, reads
        self._suppressed = QuickRead(shop.store.ledger, suppressed_of_one(), "token")
        self._sent = QuickRead(shop.store.ledger, messages_of_one(), "party_id")
        gate = QuickGate(
            shop.settings.act, zone=shop.settings.zone, clock=shop.clock, vault=shop.vault,
            consents=reads.consents, suppressed=self._suppressed, sent=self._sent,
        )  # fmt: skip
        self.door = Door(
            shop.store.numbers, zone=shop.settings.zone,
            needs_consent=shop.settings.recommend.consent == "opt_in", clock=shop.clock,
            consents=reads.consents, touches=reads.touches, gate=gate,
        )  # fmt: skip
        self._remembered: OrderedDict[str, asyncio.Future[bytes]] = OrderedDict()
        self._asked: list[tuple[Asked, asyncio.Future[Decided]]] = []
        self._read_wanted = msgspec.json.Decoder(Wanted).decode
        self._read_reported = msgspec.json.Decoder(Reported).decode
        self._of_path = {DECIDE: self._decide, REPORT: self._report}

    @staticmethod
    def takes(path: str) -> bool:
        """Whether a request to `path` is for this app."""
        return path in (DECIDE, REPORT)

    def close(self) -> None:
        """Give back its connections."""
        self._suppressed.close()
        self._sent.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        begun = self._shop.clock.monotonic()
        try:
            if scope["method"] != "POST":
                raise _NoSuchMethod
            self._reads.admit(scope, PERMISSION)
            made = await self._of_path[scope["path"]](await _body(receive), begun)
        except _NoSuchMethod:
            error = InvalidParameter("this page has no such method", hint="POST")
            await refuse(scope, receive, send, error, HTTPStatus.METHOD_NOT_ALLOWED)
        except ZhiyinError as error:
            await refuse(scope, receive, send, error)
        except Exception as error:  # noqa: BLE001 - the outermost shell; its text may be personal
            get_logger().error("a decision failed: %s", type(error).__name__)
            unknown = ZhiyinError("something went wrong here", hint="zhiyin doctor")
            await refuse(scope, receive, send, unknown)
        else:
            await answer(send, made)

    async def _decide(self, body: bytes, begun: float) -> bytes:
        wanted = _read(self._read_wanted, body)
        if not wanted.decision_id:
            return await self._decide_once(wanted, self._reads.decision_id(), begun)
        decision_id = self._own_id("d_", wanted.decision_id)
        return await self._once(
            decision_id, lambda: self._decide_once(wanted, decision_id, begun)
        )  # fmt: skip

    async def _once(self, decision_id: str, make: Callable[[], Awaitable[bytes]]) -> bytes:
        """What `make` gives, made once: who asks meanwhile waits for it, too."""
        held = self._remembered.get(decision_id)
        if held is not None:
            return await asyncio.shield(held)
        made = asyncio.get_running_loop().create_future()
        self._remembered[decision_id] = made
        if len(self._remembered) > MOST_REMEMBERED:
            self._remembered.popitem(last=False)
        try:
            body = await make()
        except BaseException as error:
            self._remembered.pop(decision_id, None)
            failed = error if isinstance(error, ZhiyinError) else Busy("it was not kept")
            made.set_exception(failed)
            made.exception()  # nobody else may wait: it is seen
            raise
        made.set_result(body)
        return body

    async def _decide_once(self, wanted: Wanted, decision_id: str, begun: float) -> bytes:
        asked = self.door.look_up(
            Ask(
                wanted.placement, decision_id, begun, self._parties(wanted.customer),
                self._reads.visitor(wanted.anonymous_id), wanted.context, wanted.k,
                wanted.deadline_ms,
            )
        )  # fmt: skip
        decided = await self._together(asked)
        await self._journal.append(DECISION, _pack(decided))
        if decided.sent:
            await asyncio.to_thread(self._queue, decided)
        return _say(say(decided))

    def _together(self, asked: Asked) -> asyncio.Future[Decided]:
        """The choice, made with those of all requests that were read in this round of the loop."""
        loop = asyncio.get_running_loop()
        if not self._asked:
            loop.call_soon(self._decide_all)
        made = loop.create_future()
        self._asked.append((asked, made))
        return made

    def _decide_all(self) -> None:
        held, self._asked = self._asked, []
        try:
            decided = self.door.decide([asked for asked, _ in held])
        except Exception as error:  # noqa: BLE001 - each who waits is told
            for _, made in held:
                if not made.done():
                    made.set_exception(error)
            return
        for (_, made), one in zip(held, decided, strict=True):
            if not made.done():  # its client has gone
                made.set_result(one)

    async def _report(self, body: bytes, _: float) -> bytes:
        told = _read(self._read_reported, body)
        now = self._shop.clock.now()
        at = told.at or now
        if not (told.decision_id or told.customer or told.anonymous_id):
            raise InvalidParameter("an outcome names a decision, a customer or a visitor")
        if told.kind.startswith(REVIEWED):
            raise InvalidParameter("kinds that begin so say what a person decided", hint="another")
        if not now - OLDEST < at < now + EARLY:
            raise InvalidParameter("an outcome cannot lie in the future, nor ten years ago")
        if told.value_minor is not None and abs(told.value_minor) > _MAX_MINOR:
            raise InvalidParameter(f"value_minor must be within {_MAX_MINOR}")
        currency = told.currency or self._shop.settings.currency
        if currency not in EXPONENTS:
            raise InvalidParameter("currency is none of ISO 4217", hint="as CNY or USD")
        parties = self._parties(told.customer)
        party = self.door.known(parties) or self._reads.visitor(told.anonymous_id)
        outcome = Outcome(
            self._own_id("o_", told.outcome_id), _us(at), _us(now), told.kind,
            self._own_id("d_", told.decision_id) if told.decision_id else "", told.action,
            party, told.value_minor, currency if told.value_minor is not None else "",
        )  # fmt: skip
        await self._journal.append(OUTCOME, _pack(outcome))
        return _say({"outcome_id": outcome.outcome_id, "success": True})

    def _queue(self, decided: Decided) -> None:
        """Put it before a person now; the compaction does it, too, should this server die here."""
        with transaction(self._shop.store.ledger) as connection:
            put_reviews(connection, [decided])

    def _parties(self, customer: str) -> tuple[str, ...]:
        return self._reads.parties(customer.strip(), self.door.spaces()) if customer else ()

    def _own_id(self, start: str, given: str) -> str:
        """Our id of what a caller calls so: a keyed hash, for his may name a person; ours stay."""
        ours = given.startswith(start) and len(given) == len(start) + 32
        if ours and all(one in "0123456789abcdef" for one in given[len(start) :]):
            return given
        return start + self._shop.vault.token(f"id.{start}", given)[:32]


def say(decided: Decided) -> dict[str, Any]:
    """A choice as the answer has it."""
    places = decided.places
    chance = 1.0
    for one in places:
        chance *= one.propensity
    return {
        "decision_id": decided.decision_id, "placement": decided.point,
        "action": places[0].action if places else None,
        "actions": [one.action for one in places], "propensity": chance,
        "policy_version": decided.policy_version,
        "explored": any(one.explored for one in places), "reason": decided.reason,
        "default": decided.policy == DEFAULT_POLICY, "pending": bool(decided.sent),
    }  # fmt: skip


class _NoSuchMethod(Exception):
    """The request is no POST."""


def _read(decode: Callable[[bytes], Any], body: bytes) -> Any:  # Any: what the decoder makes
    try:
        return decode(body)
    except msgspec.ValidationError as error:
        said = str(error)
        if "unknown field" in said:
            said = "there is an unknown field"
        raise InvalidParameter(said, hint="see docs/decide-live.md") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InputError("the body is no JSON", hint="send a JSON object") from error


async def _body(receive: Receive) -> bytes:
    """The whole body.

    Raises
    ------
    TooLarge
        If it is larger than `MAX_BODY`.
    """
    message = await receive()
    parts, size = [message.get("body", b"")], 0
    while message.get("more_body", False):
        message = await receive()
        if message["type"] == "http.disconnect":
            raise asyncio.CancelledError  # nobody waits for an answer
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > MAX_BODY:
            break
    body = b"".join(parts)
    if len(body) > MAX_BODY:
        raise TooLarge(f"a request may have {MAX_BODY} bytes")
    return body


def _us(moment: datetime) -> int:
    return int(moment.timestamp() * 1_000_000)
