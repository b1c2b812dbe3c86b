"""The results of one scored population: how well it was ranked, and what choices would earn."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from zhiyin.core.values import Estimate
from zhiyin.measure.calibration import draw_calibration, estimate_ece, estimate_ece_floor
from zhiyin.measure.counts import ScoreCounts, count_scores
from zhiyin.measure.evidence import RANDOMISED
from zhiyin.measure.increment import Increment
from zhiyin.measure.profit import (
    CALLED,
    CampaignOutcomes,
    ProfitTerms,
    choose_by_profit,
    choose_top,
    draw_cost_curve,
    draw_depth_curve,
    estimate_profit,
    expect_profit,
)
from zhiyin.measure.response import (
    draw_gains,
    estimate_auc,
    estimate_base_rate,
    estimate_brier,
    estimate_captured,
    estimate_lift,
    estimate_log_loss,
)
from zhiyin.measure.results import Measured, Result

RESPONSE, PURCHASE, PROFIT, INCREMENT = "response", "next_purchase", "profit", "increment"
CHURN, MARKETING = "churn", "marketing"
CAPTURED_SHARE, LIFT_SHARE = 0.30, 0.10
COST_STEPS = 20
RESPONSE_FIGURES: tuple[str, ...] = (
    "auc",
    "auc_low",
    "auc_high",
    "captured_at_30",
    "lift_at_10",
    "brier",
    "ece",
)
PROFIT_FIGURES: tuple[str, ...] = ("profit_model_minor", "profit_all_minor", "profit_rfm_minor")


@dataclass(frozen=True, eq=False)
class ScoredCampaign:
    """Recipients of one campaign: (n,) arrays. `margin_minor` is NaN where nobody estimated it,
    `rfm` NaN for customers without an RFM score, None where there is no RFM scheme."""

    outcomes: CampaignOutcomes
    score: NDArray[np.float64]
    margin_minor: NDArray[np.float64]
    rfm: NDArray[np.float64] | None


def measure_ranking(
    kind: str, subject: str, counts: ScoreCounts, *, rng: np.random.Generator, samples: int
) -> Measured:
    """Every ranking and calibration metric of one scored population, with its curves."""
    ece = estimate_ece(counts, rng=rng, samples=samples)
    floor = estimate_ece_floor(counts, rng=rng, samples=samples)
    auc = estimate_auc(counts)
    captured = estimate_captured(counts, CAPTURED_SHARE, rng=rng, samples=samples)
    lift = estimate_lift(counts, LIFT_SHARE, rng=rng, samples=samples)
    brier = estimate_brier(counts)
    gains, bins = draw_gains(counts), draw_calibration(counts)
    rows = {
        "auc": (auc, {"interval": "delong", "positives": counts.n_positives}),
        "captured_at_30": (captured, {"share": CAPTURED_SHARE}),
        "lift_at_10": (lift, {"share": LIFT_SHARE}),
        "base_rate": (estimate_base_rate(counts), {}),
        "brier": (brier, {}),
        "log_loss": (estimate_log_loss(counts), {}),
        "ece": (ece, {"bins": len(bins), "floor": floor.value, "floor_high": floor.high}),
        "ece_floor": (floor, {}),
        "gains": (captured, {"share": gains.share, "captured": gains.captured}),
        "calibration": (ece, {"bins": [asdict(one) for one in bins]}),
    }
    figures = {
        "auc": auc.value, "auc_low": auc.low, "auc_high": auc.high,
        "captured_at_30": captured.value, "lift_at_10": lift.value, "brier": brier.value,
        "ece": ece.value, "recipients": counts.n, "redeemers": counts.n_positives,
    }  # fmt: skip
    results = tuple(
        Result(kind, subject, metric, estimate, body) for metric, (estimate, body) in rows.items()
    )
    return Measured(results, figures)


def measure_probabilities(kind: str, subject: str, counts: ScoreCounts) -> Measured:
    """AUC, base rate, Brier score and log-loss of probabilities, with analytic intervals.

    They are what is watched of a model over time: no draw is needed for any of them.
    """
    estimates = {
        "auc": estimate_auc(counts),
        "base_rate": estimate_base_rate(counts),
        "brier": estimate_brier(counts),
        "log_loss": estimate_log_loss(counts),
    }
    return Measured(tuple(Result(kind, subject, name, found) for name, found in estimates.items()))


def measure_campaign(
    subject: str,
    campaign: ScoredCampaign,
    terms: ProfitTerms,
    *,
    rng: np.random.Generator,
    samples: int,
) -> Measured:
    """Ranking, calibration and profit of one campaign; figures are those of `summary.response`."""
    counts = count_scores(campaign.score, campaign.outcomes.redeemed)
    ranking = measure_ranking(RESPONSE, subject, counts, rng=rng, samples=samples)
    if campaign.rfm is not None:
        rfm = count_scores(np.nan_to_num(campaign.rfm, nan=-1.0), campaign.outcomes.redeemed)
        gains = draw_gains(rfm)
        captured = estimate_captured(rfm, CAPTURED_SHARE, rng=rng, samples=samples)
        body = {"share": gains.share, "captured": gains.captured}
        by_rfm = Result(RESPONSE, subject, "gains_rfm", captured, body)
        ranking = Measured((*ranking.results, by_rfm), ranking.figures)
    money = measure_profit(subject, campaign, terms)
    return Measured(
        ranking.results + money.results, {**ranking.figures, **money.figures}, money.notes
    )


def measure_profit(subject: str, campaign: ScoredCampaign, terms: ProfitTerms) -> Measured:
    """Profit of the model's choice, of as many by RFM and of everyone, with curves.

    Where no margin was estimated the model's choice is the best `max_share` by score.
    """
    outcomes, notes = campaign.outcomes, ()
    if np.isfinite(campaign.margin_minor).any():
        margin = campaign.margin_minor
        ranking = expect_profit(campaign.score, margin, contact_cost_minor=terms.contact_cost_minor)
        rule = "expected profit above 0, best first"
    else:
        margin, ranking, rule = None, campaign.score, "score, best first"
        notes = (f"{subject}: scores carry no expected margin, so the choice is by score alone",)
    # a score is never below 0, so shifting it keeps every customer eligible
    chosen = choose_by_profit(ranking if margin is not None else ranking + 1, outcomes.ids, terms)
    choices = {"model": chosen, "all": np.ones(outcomes.n)}
    if campaign.rfm is not None:
        choices["rfm"] = choose_top(campaign.rfm, float(chosen.sum()))
    body = {"called": CALLED, **asdict(terms)}
    estimates = {name: estimate_profit(outcomes, w, terms) for name, w in choices.items()}
    results = [
        Result(PROFIT, subject, f"profit_{name}_minor", one,
               {**body, "contacted": float(choices[name].sum()), "rule": rule})
        for name, one in estimates.items()
    ]  # fmt: skip
    by_depth = draw_depth_curve(outcomes, ranking, terms)
    results.append(
        Result(PROFIT, subject, "profit_by_depth", estimates["model"], {**body, **asdict(by_depth)})
    )
    if margin is not None:
        by_cost = draw_cost_curve(
            outcomes, probability=campaign.score, margin_if_response_minor=margin, terms=terms,
            costs_minor=cost_grid(terms.contact_cost_minor), rfm=campaign.rfm,
        )  # fmt: skip
        results.append(
            Result(
                PROFIT, subject, "profit_by_cost", estimates["model"], {**body, **asdict(by_cost)}
            )
        )
    figures = {
        f"profit_{name}_minor": _whole(estimates[name]) if name in estimates else None
        for name in ("model", "all", "rfm")
    }
    return Measured(tuple(results), figures, notes)


def report_increment(
    subject: str, metric: str, increment: Increment, *, kind: str = INCREMENT
) -> Measured:
    """The rows and figures of one effect on one metric per customer."""
    body: dict[str, object] = {
        "evidence": RANDOMISED,
        "verdict": increment.verdict,
        "detectable": increment.detectable,
        "p_value": increment.p_value,
        "lift": asdict(increment.lift),
        "total": asdict(increment.total),
        "sample_ratio": asdict(increment.sample_ratio),
        "treated": {"n": increment.treated.n, "mean": increment.treated.mean},
        "held_out": {"n": increment.held_out.n, "mean": increment.held_out.mean},
    }
    if increment.variance_reduction is not None:
        body["variance_reduction"] = increment.variance_reduction
    difference = increment.difference
    figures: dict[str, object] = {
        "value": difference.value, "low": difference.low, "high": difference.high,
        "status": difference.status, "verdict": increment.verdict,
        "detectable": increment.detectable, "treated": increment.treated.n,
        "held_out": increment.held_out.n,
    }  # fmt: skip
    if increment.variance_reduction is not None:
        figures["variance_reduction"] = increment.variance_reduction
    return Measured((Result(kind, subject, metric, difference, body),), {metric: figures})


def cost_grid(contact_cost_minor: float) -> tuple[float, ...]:
    """Costs from 0 to four times the assumed one (to 200 where it is 0), evenly spaced."""
    top = 4 * contact_cost_minor or 200
    return tuple(float(top * step / COST_STEPS) for step in range(COST_STEPS + 1))


def _whole(estimate: Estimate) -> int | None:
    return round(estimate.value) if np.isfinite(estimate.value) else None
