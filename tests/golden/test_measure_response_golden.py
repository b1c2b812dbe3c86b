"""Ranking and calibration numbers against scikit-learn, a slow definition and the jackknife."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss, log_loss, roc_auc_score

from zhiyin.measure.calibration import draw_calibration, estimate_ece
from zhiyin.measure.counts import count_scores
from zhiyin.measure.response import (
    estimate_auc,
    estimate_brier,
    estimate_captured,
    estimate_log_loss,
)


def _sample(seed: int, n: int, digits: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    scores = np.round(rng.beta(1, 3, n), digits)
    return scores, rng.random(n) < scores


@pytest.mark.parametrize("digits", [1, 2, 9])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_auc_brier_and_log_loss_equal_scikit_learn(seed, digits):
    scores, labels = _sample(seed, 700, digits)
    counts = count_scores(scores, labels)
    assert estimate_auc(counts).value == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)
    assert estimate_brier(counts).value == pytest.approx(brier_score_loss(labels, scores))
    assert estimate_log_loss(counts).value == pytest.approx(log_loss(labels, scores))


def _delong_by_definition(scores: np.ndarray, labels: np.ndarray) -> float:
    """Structural components written out pair by pair, as in DeLong et al. (1988)."""
    responders, others = scores[labels], scores[~labels]
    wins = (responders[:, None] > others).astype(float)
    wins += 0.5 * (responders[:, None] == others)
    return wins.mean(axis=1).var(ddof=1) / len(responders) + wins.mean(axis=0).var(ddof=1) / len(
        others
    )


@pytest.mark.parametrize("digits", [1, 9])
def test_delong_interval_equals_its_definition_pair_by_pair(digits):
    scores, labels = _sample(5, 300, digits)
    auc = estimate_auc(count_scores(scores, labels))
    half = 1.959963984540054 * _delong_by_definition(scores, labels) ** 0.5
    assert auc.high - auc.value == pytest.approx(half, rel=1e-9)
    assert auc.value - auc.low == pytest.approx(half, rel=1e-9)


def test_delong_interval_agrees_with_jackknife_and_bootstrap():
    scores, labels = _sample(8, 200, 9)
    counts = count_scores(scores, labels)
    auc, n = estimate_auc(counts), len(scores)
    left_out = [roc_auc_score(np.delete(labels, i), np.delete(scores, i)) for i in range(n)]
    jackknife = ((n - 1) ** 2 / n * np.var(left_out, ddof=1)) ** 0.5
    assert (auc.high - auc.low) / (2 * 1.96) == pytest.approx(jackknife, rel=0.05)
    resampled = estimate_auc(counts, method="bootstrap", rng=np.random.default_rng(0), samples=2000)
    assert resampled.low == pytest.approx(auc.low, abs=0.015)
    assert resampled.high == pytest.approx(auc.high, abs=0.015)


def test_ece_equals_ten_equal_bins_sliced_by_hand():
    scores, labels = _sample(4, 1000, 9)
    order = np.argsort(scores)
    bins = np.split(order, 10)
    by_hand = np.mean([abs(scores[part].mean() - labels[part].mean()) for part in bins])
    counts = count_scores(scores, labels)
    ece = estimate_ece(counts, rng=np.random.default_rng(0), samples=50)
    assert ece.value == pytest.approx(by_hand, abs=1e-12)
    rates = [one.rate for one in draw_calibration(counts)]
    assert rates == pytest.approx([labels[part].mean() for part in bins])


def test_captured_equals_the_mean_over_random_orders_of_ties():
    scores, labels = _sample(6, 200, 1)
    rng = np.random.default_rng(1)
    found = []
    for _ in range(4000):
        order = np.lexsort((rng.random(200), -scores))
        found.append(labels[order[:60]].sum() / labels.sum())
    captured = estimate_captured(count_scores(scores, labels), 0.3, rng=rng, samples=10)
    assert captured.value == pytest.approx(np.mean(found), abs=0.003)
