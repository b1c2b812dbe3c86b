# pyright: standard
# (pyarrow and Ibis ship no types, which strict mode would repeat in every signature)
"""The protocols that rooms and the wiring agree on. At most six methods each; `Store`, which is
internal and no seam, has seven.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Protocol

from zhiyin.core.values import Choice, Choices, MassOutcome, MassReceipt

if TYPE_CHECKING:  # heavy imports only for the type checker
    import ibis
    import numpy as np
    import pyarrow as pa
    import sqlalchemy as sa
    from deltalake import DeltaTable

    from zhiyin.core.generation import Generation


class Store(Protocol):
    """The lake and the ledger of one workspace (internal: implemented in `store` and `testing`)."""

    def read(self, table: str, *, as_of: date | None = None) -> ibis.Table:
        """The rows of `table` that were visible before the local day `as_of` (None: all).

        Revision tables give, per key, the last revision valid before the day, without deleted
        ones and without a filter on business time otherwise than `table.time` and `valid_at`.
        Tables with `party_id` get a column `customer_id`: the representative of the party under
        the merges made before the day and not undone by then (null where the party is null).
        Times are naive UTC. Extra: rows are read at the versions that the turn recorded.
        """
        ...

    def settled(self, tables: Iterable[str], *, days: Sequence[date]) -> bool:
        """Whether what each of the days saw of the tables is what the last of them sees, less
        the rows of later times: nothing revised, deleted or merged differently in between.
        False where it is not known; then read each day by itself.
        """
        ...

    def added(
        self, table: str, *, since: int | None = None, as_of: date | None = None
    ) -> tuple[int, ibis.Table | None]:
        """The version of `table` that `read` sees, and the rows added after the version `since`.

        The rows are those visible before `as_of`, whatever their business time, with
        `customer_id`; revisions are not resolved. None instead of rows where `since` is None or
        where rows were changed, removed or moved to other files in between.
        """
        ...

    def append(self, table: str, rows: pa.Table, *, app: str, seq: int = 0) -> int:
        """Append `rows` exactly once per (`app`, `seq`); the number of rows written, 0 if done."""
        ...

    def replace(self, table: str, rows: pa.Table, *, scope: Mapping[str, object]) -> int:
        """Make `rows` the only rows of `table` whose columns equal `scope`; idempotent."""
        ...

    def to_ibis(self, rows: pa.Table) -> ibis.Table:
        """`rows` as a table of the same engine, to be joined with what `read` gives."""
        ...

    def begin(self) -> AbstractContextManager[sa.Connection]:
        """A ledger transaction: commits at the end of the block, rolls back on an error."""
        ...


class Online(Protocol):
    """What requests look up: generations, one of which is current (implemented in `store`)."""

    def publish(self, arrays: Mapping[str, np.ndarray], about: Mapping[str, Any]) -> int:
        """Make a generation of the arrays and swap it in; its number. See `core.generation`."""
        ...

    def generation(self) -> Generation | None:
        """The current generation, None where there is none yet."""
        ...


class Engine(Protocol):
    """What runs expressions over the lake. An engine is done when `testing.contract_engine` passes.

    The tables that it gives may be used from any thread. Opened by name with the settings of the
    workspace (`store.engines`); others add theirs by the entry point group `zhiyin.engines`.
    """

    name: str

    def from_delta(self, table: DeltaTable) -> ibis.Table:
        """The rows of a Delta table at the version of its handle, in its columns and types, also
        where there are no files yet or older files lack a column. Times are naive UTC.
        """
        ...

    def from_arrow(self, rows: pa.Table) -> ibis.Table:
        """`rows` as a table, to be joined with what `from_delta` gives."""
        ...


class Vault(Protocol):
    """Keys: identifiers, personal data, secrets (law 7)."""

    def party_ids(self, namespace: str, values: Iterable[str]) -> list[str]:
        """`p_` + 26 base32 characters of HMAC(id key, namespace | value), one per value.

        Values are taken as they are: normalise them first.
        """
        ...

    def seal(
        self, party_ids: Sequence[str], values: Sequence[Mapping[str, object] | None]
    ) -> list[bytes | None]:
        """Encrypt each mapping of personal fields with its party's data key (made if new)."""
        ...

    def unseal(
        self, party_ids: Sequence[str], blobs: Sequence[bytes | None]
    ) -> list[dict[str, Any] | None]:
        """Decrypt what `seal` gave; None where the blob is None or the party was erased."""
        ...

    def seal_with(self, key_id: str, contents: Sequence[bytes]) -> list[bytes]:
        """Encrypt raw contents with one key of its own (a load's quarantine), made if new."""
        ...

    def token(self, purpose: str, value: str) -> str:
        """A keyed hash of `value` for one purpose (suppression, links); survives erasure."""
        ...

    @property
    def salt(self) -> bytes:
        """The workspace's assignment salt: hashed with a party id it gives her arm."""
        ...


class Model(Protocol):
    """A binary classifier that can be saved without pickle."""

    def fit(self, features: np.ndarray, labels: np.ndarray, *, rng: np.random.Generator) -> Model:
        """Fit on (n, d) float64 features (NaN = missing) and (n,) labels 0/1; returns itself."""
        ...

    def predict(self, features: np.ndarray) -> np.ndarray:
        """P(label = 1) for (n, d) features; (n,) float64."""
        ...

    def to_artifact(self) -> dict[str, Any]:
        """JSON values and numpy arrays that `from_artifact` restores to equal predictions."""
        ...

    @classmethod
    def from_artifact(cls, artifact: Mapping[str, Any]) -> Model:
        """The model that `to_artifact` described."""
        ...


class Policy(Protocol):
    """Chooses one of a few named actions by a context, and learns from what it led to.

    A policy is done when `testing.policy_contract` passes. Contexts are (rows, d) numbers, NaN =
    unknown; `eligible` is (rows, k) flags in the order of `actions`, None = all. The propensity of
    a choice is exactly the chance by which it was drawn (law 5).
    """

    name: str
    actions: tuple[str, ...]

    def probabilities(self, contexts: np.ndarray, eligible: np.ndarray | None = None) -> np.ndarray:
        """P(action | context, eligible), (rows, k); 0 throughout where none is eligible."""
        ...

    def choose(
        self,
        context: np.ndarray,
        actions: Sequence[str] | np.ndarray | None = None,
        *,
        rng: np.random.Generator,
    ) -> Choice:
        """One action for one context; `actions`: the eligible ones, names or flags, None = all."""
        ...

    def choose_many(
        self,
        contexts: np.ndarray,
        eligible: np.ndarray | None = None,
        *,
        rng: np.random.Generator,
    ) -> Choices:
        """An action for each context, from what is known now."""
        ...

    def update(
        self,
        contexts: np.ndarray,
        actions: str | Sequence[str],
        rewards: float | np.ndarray,
        *,
        weights: np.ndarray | None = None,
    ) -> None:
        """Learn what one context (d,) or many brought; nothing where the policy does not learn."""
        ...

    def to_artifact(self) -> dict[str, Any]:
        """JSON values and numpy arrays that `from_artifact` restores to an equal policy."""
        ...

    @classmethod
    def from_artifact(cls, artifact: Mapping[str, Any]) -> Policy:
        """The policy that `to_artifact` described."""
        ...


class Channel(Protocol):
    """One way to reach a person. Declares `supports` (of `idempotency`, `lookup`, `mass`)."""

    name: str
    supports: frozenset[str]

    def send(self, message_id: str, recipient: str, content: bytes) -> str:
        """Hand one message over; the provider's receipt. Raises `DeliveryError`."""
        ...

    def lookup(self, message_id: str) -> bool | None:
        """Whether the provider has the message; None where it cannot tell."""
        ...

    def close(self) -> None:
        """Give back connections."""
        ...


class MassChannel(Channel, Protocol):
    """A channel whose messages a member of staff lets go: one call for all who get the same.

    Its `supports` holds `mass`.
    """

    def send_all(self, recipients: Sequence[str], content: bytes, *, member: str) -> MassReceipt:
        """Hand one content over for up to 10,000 recipients. Raises `DeliveryError` for all.

        `member`: who shall confirm it; empty: whoever has the recipients as contacts.
        """
        ...

    def outcomes(self, provider_id: str, *, member: str) -> list[MassOutcome]:
        """What became of a mass message, for every recipient of it."""
        ...

    def find(self, *, since: datetime, until: datetime) -> list[tuple[str, str]]:
        """Mass messages that were made between two moments: (provider's id, text)."""
        ...

    def stop(self, provider_id: str) -> None:
        """Nobody need confirm a mass message any more. Raises `DeliveryError`."""
        ...


Progress = Callable[[str, float], None]
"""Called with what is being done and the share done, in [0, 1]."""
