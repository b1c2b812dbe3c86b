"""Everything the report page needs, as plain frozen values: `render` reads nothing else.

Money is in minor units of the workspace currency; rates are fractions in [0, 1]; a name that is
shown in both languages is a `Both`. An empty tuple or None means: nothing to show, say so.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date

from zhiyin.measure.report.brought_data import NOTHING_BROUGHT, BroughtPart, CountedShare
from zhiyin.measure.report.grid import IndicatorsPart
from zhiyin.measure.report.told import Both, Language, TrendsPart


@dataclass(frozen=True)
class Shop:
    """The workspace. `languages[0]` is what the page opens in."""

    name: str
    currency: str
    zone: str
    languages: tuple[Language, ...]
    demo: bool = False
    simulated: bool = False


@dataclass(frozen=True)
class Month:
    """Sales of one month; `no_customer_minor` is the part of `net_minor` bought by unknowns."""

    month: str  # YYYY-MM
    net_minor: int
    orders: int
    no_customer_minor: int = 0


@dataclass(frozen=True)
class Load:
    """Rows of one table that were read, kept and refused, over all loads."""

    table: str
    read: int
    loaded: int
    quarantined: int


@dataclass(frozen=True)
class Count:
    """How many of what; `code` is looked up in the words, or shown as it is."""

    code: str
    n: int
    name: Both = Both()


@dataclass(frozen=True)
class DataPart:
    """What was known before the day. `customers` are persons with an order."""

    months: tuple[Month, ...] = ()
    first_on: date | None = None
    last_on: date | None = None
    customers: int = 0
    orders: int = 0
    lines: int = 0
    net_minor: int = 0
    returns_minor: int = 0
    no_customer_minor: int = 0
    no_customer_orders: int = 0
    loads: tuple[Load, ...] = ()
    quarantine: tuple[Count, ...] = ()
    campaigns: int = 0
    checks: int = 0  # findings about the data's quality, and those of them to look at
    doubts: tuple[Both, ...] = ()


@dataclass(frozen=True)
class Segment:
    """A group of customers: its size, what it brought, and its averages where known."""

    key: str
    name: Both
    customers: int
    revenue_minor: int | None = None
    recency_days: float | None = None
    orders: float | None = None
    words: Both = Both()


@dataclass(frozen=True)
class SegmentsPart:
    """RFM segments and clusters, largest first; how customers moved; what they searched for."""

    rfm: tuple[Segment, ...] = ()
    clusters: tuple[Segment, ...] = ()
    silhouette: float | None = None
    stability: float | None = None
    movement: Both = Both()
    cluster_movement: Both = Both()
    searches: Both = Both()


@dataclass(frozen=True)
class Candidate:
    """A model that was tried, with its score on the validation campaigns."""

    model: str
    auc: float | None = None
    log_loss: float | None = None
    brier: float | None = None
    chosen: bool = False
    note: str = ""


@dataclass(frozen=True)
class Effect:
    """How strongly a feature moves the score; `effect` > 0 raises it."""

    feature: str
    effect: float
    name: Both = Both()


@dataclass(frozen=True)
class Reasons:
    """Why one customer has her score. `customer_id` is a pseudonym."""

    customer_id: str
    score: float
    rank: int
    effects: tuple[tuple[Effect, float | None], ...]  # with the feature's value


@dataclass(frozen=True)
class ModelPart:
    """The model card of a task (`response` to a campaign, or `next_purchase` within a horizon)."""

    task: str
    subject: str = ""
    subject_name: str = ""
    model: str = ""
    version: str = ""
    trained_rows: int | None = None
    trained_positives: int | None = None
    trained_on: tuple[str, ...] = ()
    candidates: tuple[Candidate, ...] = ()
    effects: tuple[Effect, ...] = ()
    samples: tuple[Reasons, ...] = ()
    scored: int = 0
    horizon_days: int | None = None
    calibration: str = ""
    warnings: tuple[tuple[str, str], ...] = ()  # code, sentence


@dataclass(frozen=True)
class ExpectedOf:
    """A segment with those of it that were scored and the sum of their probabilities."""

    key: str
    name: Both
    customers: int
    expected: float


@dataclass(frozen=True)
class Prediction:
    """Who is likely to leave or to buy again, and how far that is to be trusted.

    `expected` is the sum of the probabilities of the `customers` scored; the figures of quality
    are those of the latest past day that judged, `judged_on`.
    """

    task: str
    horizon_days: int | None = None
    horizon_why: Both = Both()
    customers: int = 0
    expected: float = 0.0
    segments: tuple[ExpectedOf, ...] = ()
    model: str = ""
    judged_on: date | None = None
    judged: dict[str, float] = field(default_factory=dict[str, float])
    top_tenth: float | None = None  # share of all who did it among the tenth ranked first
    drift: str = ""  # stable, watch, moved
    moved: int = 0  # features that are distributed otherwise than in training
    effects: tuple[Effect, ...] = ()
    missing: tuple[Both, ...] = ()  # why there is no score, in the words of the data check
    notes: tuple[Both, ...] = ()
    kept: Both = Both()  # what it promised beside what then happened

    @property
    def rate(self) -> float | None:
        """Mean probability of those scored."""
        return self.expected / self.customers if self.customers else None


@dataclass(frozen=True)
class Metric:
    """A measured number with its 95 % interval; `status` is `ok` or says why not to trust it."""

    kind: str
    subject: str
    metric: str
    value: float | None
    low: float | None = None
    high: float | None = None
    n: int = 0
    status: str = "ok"


@dataclass(frozen=True)
class Curve:
    """A named line: `model`, `rfm`, `random`, `all`."""

    name: str
    x: tuple[float, ...]
    y: tuple[float, ...]


@dataclass(frozen=True)
class Bin:
    """Customers next to each other by score: what was expected of them and what came."""

    n: int
    expected: float
    observed: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Profit:
    """Profit of one way to choose, if every redemption were caused (an upper bound)."""

    name: str
    minor: float
    contacted: int | None = None


@dataclass(frozen=True)
class Measured:
    """What came after the day for one task and subject."""

    task: str
    subject: str = ""
    subject_name: str = ""
    start_on: date | None = None
    end_on: date | None = None
    until_on: date | None = None
    recipients: int | None = None
    responders: int | None = None
    metrics: tuple[Metric, ...] = ()
    gains: tuple[Curve, ...] = ()
    decile_lifts: tuple[float, ...] = ()
    calibration: tuple[Bin, ...] = ()
    profit_by_depth: tuple[Curve, ...] = ()
    profit_by_cost: tuple[Curve, ...] = ()
    profits: tuple[Profit, ...] = ()

    def metric(self, name: str) -> Metric | None:
        """The metric called `name` if it has a value."""
        found = (m for m in self.metrics if m.metric == name and m.value is not None)
        return next(found, None)


@dataclass(frozen=True)
class Choice:
    """Whom a campaign was decided for. `left_out` is in the order of the rules."""

    campaign_id: str
    name: str = ""
    start_on: date | None = None
    end_on: date | None = None
    considered: int = 0
    left_out: tuple[Count, ...] = ()
    holdout: int = 0
    contacted: int = 0
    explored: int = 0
    offers: tuple[Count, ...] = ()
    expected_profit_minor: float | None = None
    caused: CountedShare | None = None


@dataclass(frozen=True)
class EmailExample:
    """One rendered e-mail to show, as its HTML; links and remote pictures are taken out."""

    language: str
    subject: str
    html: str


@dataclass(frozen=True)
class MessagesPart:
    """What became of the messages, by state and, for skipped ones, by reason."""

    states: tuple[Count, ...] = ()
    skipped: tuple[Count, ...] = ()
    emails: tuple[EmailExample, ...] = ()


@dataclass(frozen=True)
class Recommended:
    """What one customer is shown, and which of her products speak for it."""

    customer_id: str
    products: tuple[tuple[str, str], ...]  # product, because of


@dataclass(frozen=True)
class Pair:
    """Two products that share `orders` orders; of those with the first, `confidence` hold the
    other, which is `lift` times its share of all orders (`lift_low`: 95 % interval, lower end).
    """

    product: str
    other: str
    orders: int
    confidence: float
    lift: float
    lift_low: float
    q_value: float

    @property
    def lift_high(self) -> float:
        """The interval's upper end: it lies evenly around the lift's logarithm."""
        return self.lift**2 / self.lift_low


@dataclass(frozen=True)
class RecommendPart:
    """Recommendations: how good they were on a day apart, examples, what is bought together."""

    model: str = ""
    check_on: date | None = None
    metrics: tuple[Metric, ...] = ()
    examples: tuple[Recommended, ...] = ()
    customers: int = 0
    pairs: tuple[Pair, ...] = ()


@dataclass(frozen=True)
class Assumption:
    """Something taken as true and not measured; `code` is a key of the words."""

    code: str
    values: dict[str, float | str] = field(default_factory=dict[str, "float | str"])


@dataclass(frozen=True)
class Step:
    """One job of the turn: seconds, rows written by table, sentences for the reader."""

    job: str
    seconds: float | None
    rows: tuple[Count, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class RunPart:
    """How the turn ran. `versions` are (what, version)."""

    steps: tuple[Step, ...] = ()
    rows: tuple[Count, ...] = ()
    versions: tuple[tuple[str, str], ...] = ()
    peak_rss_mb: float | None = None


USUAL_SHARE = 0.3


@dataclass(frozen=True)
class ReportData:
    """One report."""

    shop: Shop
    as_of: date
    turn_id: str
    complete_journey: bool = False
    seeded_consents: bool = False
    margin_rate: float = 0.25
    contact_cost_minor: int = 50
    max_share: float = USUAL_SHARE
    data: DataPart = DataPart()
    segments: SegmentsPart = SegmentsPart()
    trends: TrendsPart = TrendsPart()
    predictions: tuple[Prediction, ...] = ()
    value_told: Both = Both()  # what the model of customer value expected, and what came
    models: tuple[ModelPart, ...] = ()
    no_model: tuple[tuple[str, str], ...] = ()  # code and sentence, where none could be fitted
    measured: tuple[Measured, ...] = ()
    choices: tuple[Choice, ...] = ()
    messages: MessagesPart = MessagesPart()
    recommend: RecommendPart = RecommendPart()
    indicators: IndicatorsPart = field(default_factory=IndicatorsPart)
    brought: BroughtPart = NOTHING_BROUGHT
    metrics: tuple[Metric, ...] = ()
    assumptions: tuple[Assumption, ...] = ()
    warnings: tuple[Both, ...] = ()
    run: RunPart = RunPart()

    @property
    def model(self) -> ModelPart | None:
        """The card shown in full: of the decided campaign, else the first."""
        subjects = [choice.campaign_id for choice in self.choices]
        ranked = sorted(
            self.models,
            key=lambda m: subjects.index(m.subject) if m.subject in subjects else len(subjects),
        )
        return ranked[0] if ranked else None

    @property
    def outcome(self) -> Measured | None:
        """What was measured of the shown model, else the first measured."""
        model = self.model
        for measured in self.measured:
            if model and (measured.task, measured.subject) == (model.task, model.subject):
                return measured
        return self.measured[0] if self.measured else None

    @property
    def read_at(self) -> float:
        """The share at which a ranking is read: as many as may be contacted; a list that is
        contacted whole says nothing of its order.
        """
        return self.max_share if self.max_share < 1 else USUAL_SHARE

    @property
    def choice(self) -> Choice | None:
        """The choice shown in full."""
        return self.choices[0] if self.choices else None
