"""The job `understand.models`: segments, scores with reasons, recommendations, model cards."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import ibis.expr.types as ir
import pandas as pd
import pyarrow as pa
from threadpoolctl import threadpool_limits

from zhiyin.core import artifact
from zhiyin.core import columns as c
from zhiyin.core.config import UnderstandSettings
from zhiyin.core.context import Context
from zhiyin.core.features import FEATURES
from zhiyin.core.rows import arrow_schema
from zhiyin.core.tables import TABLES
from zhiyin.core.values import JobReport
from zhiyin.understand import valuing
from zhiyin.understand.predict import labels, response
from zhiyin.understand.predict.contracts import NAMES
from zhiyin.understand.predict.job import Facts, Held, put_out, read_held, register, score_tasks
from zhiyin.understand.predict.lookalike_job import score_alike
from zhiyin.understand.predict.registry import Incumbent
from zhiyin.understand.predict.task import CHURN, NEXT_PURCHASE
from zhiyin.understand.predict.training import Scored, prediction_figures
from zhiyin.understand.predict.traits_job import read_traits
from zhiyin.understand.recommend.job import ListMaker, Lists, ask_wishes, read_day
from zhiyin.understand.searches import find_terms, searches_body
from zhiyin.understand.segment import rfm, rows
from zhiyin.understand.segment.clusters import FEATURES as CLUSTER_FEATURES
from zhiyin.understand.segment.clusters import Clusters, find_clusters
from zhiyin.understand.segment.lasting import keep_names, match_clusters, say_changes
from zhiyin.understand.segment.portrait import Meaning, describe_clusters
from zhiyin.understand.value import scoring
from zhiyin.understand.value.decay import DECAYED
from zhiyin.understand.value.forecast import ValueModel
from zhiyin.understand.value.purchases import PurchaseDays, read_purchases

JOB = "understand.models"
WRITTEN = ("scores", "memberships", "recommendations", "together", "models", "insights")
REVENUE = "revenue_minor"
FACTS = ("order_lines", "touches", "offers", "campaigns")


@dataclass
class Findings:
    """Rows for each table that the job writes, and its figures, as they are found."""

    rows: dict[str, list[pa.Table]] = field(default_factory=lambda: {name: [] for name in WRITTEN})
    figures: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    learned: list[Scored | valuing.Spoken] = field(default_factory=list)  # for the registry

    def add_insight(self, day: date, kind: str, key: str, body: Mapping[str, Any]) -> None:
        """One row of table `insights`."""
        row = {c.AS_OF_ON: [day], c.KIND: [kind], c.KEY: [key], c.BODY: [to_json(body)]}
        self.rows["insights"].append(pa.table(row))


def run(ctx: Context, config: UnderstandSettings) -> JobReport:
    """Fit and score for `ctx.as_of`; writes `scores`, `memberships`, `recommendations`,
    `together`, `models` and `insights` of the day.

    Figures: `models` (task and status of each), `predictions` (churn and next purchase), `value`,
    `segments`, `recommend`.
    """
    facts = {name: ctx.store.read(name, as_of=ctx.as_of) for name in FACTS}
    found = Findings()
    # thousands of rows: a second BLAS thread only waits for the first
    with threadpool_limits(1), ThreadPoolExecutor(1) as aside:
        lists = _ask_lists(ctx, config, facts["order_lines"], aside)
        days = _purchase_days(ctx, facts["order_lines"])
        held = read_held(ctx)
        _respond(ctx, config, facts, held, found)
        _predict(ctx, config, facts["order_lines"], days, held, found)
        for scored in score_alike(ctx, config):
            _keep(ctx, scored, found)
        _value(ctx, config, days, held, found)
        _segment(ctx, config, found)
        _search(ctx, facts["order_lines"], found)
        ctx.progress("recommendations", 0.5)
        written = _recommend(ctx, config, lists.lists(), found)
    for name in WRITTEN:
        stacked = _stack(name, found.rows[name])
        written[name] = written.get(name, 0) + ctx.store.replace(
            name, stacked, scope={c.AS_OF_ON: ctx.as_of}
        )
    register(ctx, found.learned)  # last: what it names is in the lake by now
    return JobReport(JOB, rows=written, figures=found.figures, notes=tuple(found.notes))


def _respond(
    ctx: Context, config: UnderstandSettings, facts: Mapping[str, ir.Table], held: Held,
    found: Findings,
) -> None:  # fmt: skip
    """Response to each campaign that has features today."""
    of_campaigns = ctx.store.read("campaign_features")
    of_campaigns = of_campaigns.filter(of_campaigns[c.AS_OF_ON] <= ctx.as_of).to_pyarrow()
    pairs = of_campaigns.select([c.AS_OF_ON, c.CAMPAIGN_ID]).to_pylist()
    targets = sorted({row[c.CAMPAIGN_ID] for row in pairs if row[c.AS_OF_ON] == ctx.as_of})
    if not targets:
        return
    features = ctx.store.read("features")
    days = sorted({row[c.AS_OF_ON] for row in pairs})
    rows = features.filter(features[c.AS_OF_ON].isin(days)).to_pyarrow()
    campaigns = facts["campaigns"].select(c.CAMPAIGN_ID, c.KIND, c.START_ON, c.END_ON).to_pyarrow()
    windows = labels.campaign_windows(campaigns, as_of=ctx.as_of, zone=ctx.settings.zone)
    known = labels.response_labels(facts, ctx.store.to_ibis(windows)).to_pyarrow()
    kinds = {row[c.CAMPAIGN_ID]: row[c.KIND] or "" for row in campaigns.to_pylist()}
    traits = read_traits(ctx, days, without=put_out(config)) if config.attributes else None
    for number, campaign in enumerate(targets):
        key = (response.RESPONSE, kinds.get(campaign, ""))
        ctx.progress(f"response model: {campaign}", number / len(targets))
        scored = response.score_response(
            rows, of_campaigns, campaigns=campaigns, labels=known, campaign_id=campaign,
            as_of=ctx.as_of, streams=ctx.rng, margin_rate=ctx.settings.decide.margin_rate,
            min_positives=config.min_positives, compared=config.response_candidates,
            promotion=config.promotion, put_aside=held.put_aside(*key),
            incumbent=held.incumbent(ctx, *key, features=response.USED), traits=traits,
            guests=held.guests.get(key, ()),
        )  # fmt: skip
        _keep(ctx, scored, found)
        found.learned.append(scored)


def _predict(
    ctx: Context, config: UnderstandSettings, lines: ir.Table, days: PurchaseDays, held: Held,
    found: Findings,
) -> None:  # fmt: skip
    """Next purchase, churn and category affinity of every customer."""
    products = ctx.store.read("products", as_of=ctx.as_of)
    for scored in score_tasks(
        ctx, config, Facts(lines, products, days, _contracts(ctx, config)), held
    ):
        _keep(ctx, scored, found)
        found.learned.append(scored)
        if scored.card[c.TASK] in (CHURN, NEXT_PURCHASE):
            told = found.figures.setdefault("predictions", {})
            told[scored.card[c.TASK]] = prediction_figures(scored)


def _contracts(ctx: Context, config: UnderstandSettings) -> pa.Table | None:
    """Contracts, where churn is one that ends."""
    if config.churn_definition != "contractual":
        return None
    rows = ctx.store.read("contracts", as_of=ctx.as_of).select(*NAMES).order_by(*NAMES[:2])
    return rows.to_pyarrow()


def _keep(ctx: Context, scored: Scored, found: Findings) -> None:
    card = scored.card
    task, subject = card[c.TASK], card[c.SUBJECT]
    found.figures.setdefault("models", []).append(
        {"task": task, "subject": subject, "status": scored.status, "model": card.get("model")}
    )
    found.add_insight(ctx.as_of, "model_card", f"{task}:{subject}", card)
    if scored.artifact is None:
        found.notes.append(f"{task} {subject}: no model ({scored.status})")
        return
    if scored.status != "ok":
        found.notes.append(f"{task} {subject}: no score ({scored.status})")
    found.rows["scores"].append(scored.scores)
    row = {
        c.AS_OF_ON: [ctx.as_of], c.TASK: [task], c.SUBJECT: [subject], c.MODEL: [card["model"]],
        c.MODEL_VERSION: [card[c.MODEL_VERSION]],
        c.ARTIFACT: [artifact.pack(scored.artifact)], c.CARD: [to_json(card)],
    }  # fmt: skip
    found.rows["models"].append(pa.table(row))


def _purchase_days(ctx: Context, order_lines: ir.Table) -> PurchaseDays:
    lines = order_lines.filter(order_lines[c.KIND].isin(["item", "return"]))
    return read_purchases(lines, ctx.as_of, zone=ctx.settings.zone, ordered=c.SOLD_AT)


def _value(
    ctx: Context, config: UnderstandSettings, days: PurchaseDays, held: Held, found: Findings
) -> None:
    """P(still a customer), expected purchases and value of each customer."""
    ctx.progress("customer value", 0.5)
    terms = valuing.Terms(
        config.value_months, config.value_discount, ctx.settings.decide.margin_rate,
        config.promotion,
    )  # fmt: skip
    champion = held.champion(ctx, scoring.TASK, "")
    incumbent = None if champion is None else Incumbent(
        champion.version, champion.as_of_on, ValueModel.from_artifact(champion.fitted)
    )  # fmt: skip
    made = valuing.value_customers(
        days, terms, rng=ctx.rng.generator("value"), put_aside=held.put_aside(scoring.TASK, ""),
        incumbent=incumbent,
    )  # fmt: skip
    valued = made.valued
    found.figures["value"] = {"status": valued.status}
    if incumbent is not None:
        _watch_value(ctx, config, days, incumbent, found)
    found.add_insight(ctx.as_of, "value", "card", made.card)
    if valued.columns is None or made.speaks is None:
        found.notes.append(f"customer value: no score, {valued.missing}")
    else:
        schema = arrow_schema(TABLES["scores"])
        found.rows["scores"].append(
            scoring.value_scores(valued, version=made.speaks, schema=schema, as_of=ctx.as_of)
        )
    if made.artifact is None:
        return
    row = {
        c.AS_OF_ON: [ctx.as_of], c.TASK: [scoring.TASK], c.SUBJECT: [""],
        c.MODEL: [scoring.MODEL], c.MODEL_VERSION: [made.card[c.MODEL_VERSION]],
        c.ARTIFACT: [artifact.pack(made.artifact)], c.CARD: [to_json(made.card)],
    }  # fmt: skip
    found.rows["models"].append(pa.table(row))
    found.learned.append(made)


def _watch_value(
    ctx: Context, config: UnderstandSettings, days: PurchaseDays,
    incumbent: Incumbent[ValueModel], found: Findings,
) -> None:  # fmt: skip
    """Whether the model of value that spoke until today told what then happened."""
    horizon = scoring.horizon_of(config.value_months)
    told = valuing.watch_champion(days, incumbent, horizon_days=horizon)
    found.add_insight(ctx.as_of, "value_decay", incumbent.version, told)
    words = told.get("words")
    found.figures["value"]["decay"] = {
        "status": told["status"], c.MODEL_VERSION: incumbent.version, "words": words,
    }  # fmt: skip
    if told["status"] == DECAYED:
        found.add_insight(ctx.as_of, "warning", "value_decay", told["words"])


def _segment(ctx: Context, config: UnderstandSettings, found: Findings) -> None:
    """RFM segments over orders, clusters over features."""
    ctx.progress("segments", 0.5)
    orders = ctx.store.read("orders", as_of=ctx.as_of)
    scored = rfm.score_rfm(orders, as_of=ctx.as_of, zone=ctx.settings.zone)
    named = rfm.name_segments(scored).to_pyarrow()
    today = rows.rfm_memberships(named, as_of=ctx.as_of)
    found.rows["memberships"].append(today)
    told = list(rows.rfm_insights(named))
    start, before = _before(ctx, rows.RFM)
    if start and today.num_rows:
        body = rows.movement_body(before, today.select(rows.MEMBER), start=start, end=ctx.as_of)
        found.add_insight(ctx.as_of, "movement", rows.RFM, body)
    clusters = _cluster(ctx, config, found, told)
    for key, body in told:
        found.add_insight(ctx.as_of, "segment", key, body)
    sizes = Counter(named[c.SEGMENT].to_pylist())
    found.figures["segments"] = {
        "rfm": dict(sorted(sizes.items())),
        **rows.cluster_figures(clusters),
    }


def _cluster(
    ctx: Context, config: UnderstandSettings, found: Findings, told: rows.Insights
) -> Clusters:
    """Clusters over features, under the names they had on the last day."""
    features = ctx.store.read("features")
    today = features.filter(features[c.AS_OF_ON] == ctx.as_of).order_by(c.CUSTOMER_ID)
    names = [*CLUSTER_FEATURES]
    table = today.select(c.CUSTOMER_ID, REVENUE, *names).to_pyarrow().to_pandas()
    values = table[names].to_numpy(float)
    clusters = find_clusters(
        values, names, rng=ctx.rng.generator("clusters"),
        k_min=config.clusters_min, k_max=config.clusters_max,
    )  # fmt: skip
    meanings = {f.name: Meaning(f.meaning, f.meaning_zh, f.unit) for f in FEATURES}
    portraits = describe_clusters(clusters, values, names, meanings)
    ids = table[c.CUSTOMER_ID].tolist()
    start, before = _before(ctx, rows.CLUSTERS)
    was = pd.Series(before[c.SEGMENT].to_pylist(), index=before[c.CUSTOMER_ID].to_pylist())
    now = pd.Series(clusters.labels, index=ids if clusters.k else [])
    lasting = match_clusters(was, now, k=clusters.k, used=_used_names(ctx))
    called = _names_of(ctx, start)
    portraits = keep_names(portraits, lasting, called)
    members = rows.cluster_memberships(clusters, ids, names=lasting.names, as_of=ctx.as_of)
    found.rows["memberships"].append(members)
    revenue = table[REVENUE].fillna(0).to_numpy(float)
    told += rows.cluster_insights(clusters, portraits, revenue, lasting=lasting)
    if start and clusters.k:
        mine = {n: (p.label, p.label_zh) for n, p in zip(lasting.names, portraits, strict=True)}
        body = rows.movement_body(
            before, members.select(rows.MEMBER), start=start, end=ctx.as_of, names=called | mine
        )
        english, chinese = say_changes(lasting, called, mine)
        body |= {"born": list(lasting.born), "gone": list(lasting.gone)}
        if english:
            words = body["words"]
            body["words"] = {
                "en": f"{words['en']}; {english}", "zh": f"{words['zh']}；{chinese}"
            }  # fmt: skip
        found.add_insight(ctx.as_of, "movement", rows.CLUSTERS, body)
    return clusters


def _before(ctx: Context, scheme: str) -> tuple[date | None, pa.Table]:
    """The last earlier day that has a scheme, with the customers and their segments of it."""
    kept = ctx.store.read("memberships")
    mine = kept.filter((kept[c.SCHEME] == scheme) & (kept[c.AS_OF_ON] < ctx.as_of))
    day = mine[c.AS_OF_ON].max().to_pyarrow().as_py()
    of_day = mine.filter(mine[c.AS_OF_ON] == day) if day else mine.limit(0)
    return day, of_day.select(*rows.MEMBER).to_pyarrow()


def _used_names(ctx: Context) -> list[str]:
    """Names of clusters on all earlier days."""
    kept = ctx.store.read("memberships")
    mine = kept.filter((kept[c.SCHEME] == rows.CLUSTERS) & (kept[c.AS_OF_ON] < ctx.as_of))
    return mine.select(c.SEGMENT).distinct().order_by(c.SEGMENT).to_pyarrow()[c.SEGMENT].to_pylist()


def _names_of(ctx: Context, day: date | None) -> dict[str, tuple[str, str]]:
    """English and Chinese name of each cluster of a day."""
    if day is None:
        return {}
    kept = ctx.store.read("insights")
    mine = kept.filter((kept[c.AS_OF_ON] == day) & (kept[c.KIND] == "segment"))
    start = f"{rows.CLUSTERS}:"
    bodies = {
        row[c.KEY].removeprefix(start): json.loads(row[c.BODY])[c.NAME]
        for row in mine.select(c.KEY, c.BODY).to_pyarrow().to_pylist()
        if row[c.KEY].startswith(start)
    }
    return {name: (both["en"], both["zh"]) for name, both in bodies.items()}


def _search(ctx: Context, order_lines: ir.Table, found: Findings) -> None:
    """What customers searched for."""
    events = ctx.store.read("events", as_of=ctx.as_of)
    terms = find_terms(
        events, order_lines, as_of=ctx.as_of, zone=ctx.settings.zone, load=ctx.store.to_ibis
    )
    if terms:
        found.add_insight(ctx.as_of, "searches", "terms", searches_body(terms))


def _ask_lists(
    ctx: Context, config: UnderstandSettings, order_lines: ir.Table, aside: Executor
) -> ListMaker:
    """Recommendations, made beside the models: most of both is arithmetic on one core."""
    today = read_day(ctx, config, order_lines, ctx.as_of, orders=True)
    day = config.recommend_check_on
    check = None
    if day is not None:
        then = ctx.store.read("order_lines", as_of=day)
        check = read_day(ctx, config, then, day)
    wishes, tries = ask_wishes(ctx, order_lines, ctx.as_of)
    return ListMaker(aside, today, check, wishes, tries, top=config.recommend_top)


def _recommend(
    ctx: Context, config: UnderstandSettings, lists: Lists, found: Findings
) -> dict[str, int]:
    """Keep the day's lists, and write those of the check day."""
    found.rows["recommendations"].append(lists.today.rows)
    found.rows["together"].append(lists.together)
    found.add_insight(ctx.as_of, "recommender", "batch", dict(lists.today.card))
    found.figures["recommend"] = {"status": lists.today.status}
    if lists.check is None:
        return {}
    scope = {c.AS_OF_ON: config.recommend_check_on}
    return {"recommendations": ctx.store.replace("recommendations", lists.check, scope=scope)}


def _stack(name: str, parts: Sequence[pa.Table]) -> pa.Table:
    schema = arrow_schema(TABLES[name])
    return pa.concat_tables([schema.empty_table(), *(part.cast(schema) for part in parts)])


def to_json(value: Any) -> str:
    """JSON with sorted keys and no numbers that JSON does not have."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, allow_nan=False, default=str)
