"""One door to every way of grouping customers: `segment(table, method)`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches

import numpy as np
import pandas as pd

from zhiyin.core.arguments import check_whole, show
from zhiyin.core.errors import InvalidParameter, NotEnoughData
from zhiyin.understand.segment import business
from zhiyin.understand.segment.choice import Choice, choose_k, judge_labels
from zhiyin.understand.segment.clusters import Clusters
from zhiyin.understand.segment.density import find_density
from zhiyin.understand.segment.hierarchy import grow_ward
from zhiyin.understand.segment.kmeans import fit_kmeans
from zhiyin.understand.segment.portrait import Meaning, Portrait, describe_clusters
from zhiyin.understand.segment.preparing import Prepared, prepare
from zhiyin.understand.segment.rfm import SEGMENTS
from zhiyin.understand.segment.segmentation import Fit, Fitness, Segmentation

METHODS = ("auto", "kmeans", "ward", "dbscan", "rfm")
_FEWEST = 10
_BETTER = 0.02  # by which Ward must be ahead of K-means, to be taken
_TITLES = {
    "kmeans": ("K-means", "K-means 聚类"),
    "ward": ("Ward's hierarchy", "Ward 层次聚类"),
    "dbscan": ("DBSCAN", "DBSCAN 密度聚类"),
    "rfm": ("RFM", "RFM 分群"),
}
_MEANINGS = {
    business.RECENCY: Meaning("days since the last order", "距上次下单天数", "days"),
    business.FREQUENCY: Meaning("orders", "订单数", "orders"),
    business.MONETARY: Meaning("spending", "消费金额"),
}


@dataclass(frozen=True, eq=False)
class _Found:
    """What a method found, before it is told."""

    labels: np.ndarray
    fit: Fit
    choice: Choice | None = None
    portraits: tuple[Portrait, ...] = ()
    reasons: tuple[str, str] = ("", "")
    notes: list[tuple[str, str]] = field(default_factory=list)


@dataclass(frozen=True)
class _Wish:
    """What the caller asked for."""

    k: int | None
    k_max: int
    seed: int
    eps: float | None
    min_samples: int | None


def segment(
    table: pd.DataFrame | np.ndarray,
    method: str = "auto",
    *,
    k: int | None = None,
    k_max: int = 10,
    seed: int = 42,
    columns: Sequence[str] | None = None,
    categories: str = "refuse",
    thresholds: business.Thresholds | str | None = None,
    eps: float | None = None,
    min_samples: int | None = None,
    meanings: Mapping[str, Meaning] | None = None,
) -> Segmentation:
    """Group the customers of a table and say in words what the groups are.

    Parameters
    ----------
    table
        One row per customer, columns of numbers (`prepare` says what is done to them).
    method
        `kmeans`; `ward` (hierarchical); `dbscan` (dense groups, the rest is noise); `rfm` (named
        segments of the columns `recency_days`, `frequency`, `monetary`); `auto`: K-means or
        Ward's hierarchy, whichever is the better by silhouette x stability.
    k
        Number of groups, at least 2; chosen by `choose_k` where None. DBSCAN and RFM find theirs.
    k_max
        Most groups tried.
    seed
        The same seed gives the same groups, whatever the order of the rows.
    columns, categories
        As of `prepare`; RFM has its own columns.
    thresholds
        For `rfm`: bounds of the business, `"propose"` for bounds proposed from the data; None
        scores by quantiles.
    eps, min_samples
        For `dbscan`, on the prepared columns (mean 0, standard deviation 1); proposed where None.
    meanings
        What the columns are, in both languages and with their unit, for the words.

    Raises
    ------
    InvalidParameter
        If the method is unknown, a parameter is out of range, or a column is text.
    NotEnoughData
        If there are fewer than 10 customers, or no column tells them apart, or fewer different
        customers than groups.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> table = np.r_[rng.normal(0, 1, (60, 2)), rng.normal(9, 1, (40, 2))]
    >>> found = segment(table, "kmeans")
    >>> found.k, found.sizes.tolist(), found.names
    (2, [60, 40], ('Low x2, low x1', 'High x2, high x1'))
    """
    _check(method, k, k_max)
    if meanings is not None and not isinstance(meanings, Mapping):
        raise InvalidParameter(f"meanings is {show(meanings)}", hint='meanings={"a": Meaning(…)}')
    if method == "rfm":
        columns = business.SIDES
    if hasattr(table, "__len__") and len(table) < _FEWEST:
        raise NotEnoughData(
            f"{len(table)} customers are too few to group", hint=f"give at least {_FEWEST}"
        )
    prepared = prepare(table, columns=columns, categories=categories)
    if k is not None and k > len(prepared.values):
        raise NotEnoughData(
            f"{k} groups of {len(prepared.values)} customers", hint="ask for fewer groups"
        )
    wish = _Wish(k, k_max, seed, eps, min_samples)
    if method == "rfm":
        found = _by_rfm(pd.DataFrame(table), thresholds)
    else:
        method, found = _BY_METHOD[method](prepared, wish)
    return _tell(method, found, prepared, seed, {**_MEANINGS, **(meanings or {})})


def _check(method: str, k: int | None, k_max: int) -> None:
    if method not in METHODS:
        near = get_close_matches(str(method).lower(), METHODS, n=1)
        raise InvalidParameter(
            f"no method {method!r}",
            hint=(f"did you mean {near[0]!r}? " if near else "")
            + f"there are {', '.join(METHODS)}",
        )
    if k is not None and check_whole("k", k) < 2:
        raise InvalidParameter(
            f"k is {k}: one group is everyone" if k == 1 else f"k is {k}",
            hint="give at least 2, or leave k out to have it chosen",
        )
    if k is not None and method in ("dbscan", "rfm"):
        raise InvalidParameter(
            f"{method} finds the number of its groups, it takes no k",
            hint="leave k out, or use 'kmeans' or 'ward'",
        )
    if check_whole("k_max", k_max) < 2:
        raise InvalidParameter(f"k_max is {k_max}, it must be at least 2", hint="leave it out: 10")


def _choose(prepared: Prepared, method: str, wish: _Wish) -> Choice | None:
    """Figures of the numbers tried; None where k is given and the rows are too few to judge."""
    bounds = (2, wish.k_max) if wish.k is None else (wish.k, wish.k)
    try:
        return choose_k(
            prepared.values, method=method, k_min=bounds[0], k_max=bounds[1], seed=wish.seed
        )
    except NotEnoughData:
        if wish.k is None:
            raise
        return None


def _by_kmeans(prepared: Prepared, wish: _Wish) -> tuple[str, _Found]:
    choice = _choose(prepared, "kmeans", wish)
    return "kmeans", _run_kmeans(prepared, wish, choice)


def _run_kmeans(prepared: Prepared, wish: _Wish, choice: Choice | None) -> _Found:
    fit = fit_kmeans(prepared.values, wish.k or (choice.k if choice else 2), seed=wish.seed)
    return _Found(fit.labels, fit, choice, reasons=_reasons("kmeans", fit.k, choice, wish))


def _by_ward(prepared: Prepared, wish: _Wish) -> tuple[str, _Found]:
    choice = _choose(prepared, "ward", wish)
    return "ward", _run_ward(prepared, wish, choice)


def _run_ward(prepared: Prepared, wish: _Wish, choice: Choice | None) -> _Found:
    tree = grow_ward(prepared.values, seed=wish.seed)
    labels = tree.cut(wish.k or (choice.k if choice else 2))[0]
    notes = []
    if tree.is_sample:
        m, n = len(tree.sampled), tree.rows
        notes.append(
            (
                f"The tree holds a sample of {m:,} of {n:,} customers; the others are in the group"
                " with the nearest mean.",
                f"层次树基于 {n:,} 位客户中的 {m:,} 位样本，其余客户归入均值最近的群。",
            )
        )
    groups = int(labels.max()) + 1
    return _Found(labels, tree, choice, reasons=_reasons("ward", groups, choice, wish), notes=notes)


def _by_auto(prepared: Prepared, wish: _Wish) -> tuple[str, _Found]:
    """K-means unless Ward's groups are clearly the better ones."""
    choices = {name: _choose(prepared, name, wish) for name in ("kmeans", "ward")}
    scores = {name: _score(choice) for name, choice in choices.items()}
    taken = "ward" if scores["ward"] > scores["kmeans"] + _BETTER else "kmeans"
    run = _run_ward if taken == "ward" else _run_kmeans
    found = run(prepared, wish, choices[taken])
    other = "kmeans" if taken == "ward" else "ward"
    said = (
        f"{_TITLES[taken][0]} was taken: silhouette x stability {scores[taken]:.2f}, with"
        f" {_TITLES[other][0]} {scores[other]:.2f}. ",
        f"选用 {_TITLES[taken][1]}：轮廓系数 x 稳定性为 {scores[taken]:.2f}，"
        f"{_TITLES[other][1]}为 {scores[other]:.2f}。",
    )
    reasons = (said[0] + found.reasons[0], said[1] + found.reasons[1])
    return taken, _Found(found.labels, found.fit, found.choice, reasons=reasons, notes=found.notes)


def _score(choice: Choice | None) -> float:
    return 0.0 if choice is None else choice.chosen.silhouette * choice.chosen.stability


def _by_dbscan(prepared: Prepared, wish: _Wish) -> tuple[str, _Found]:
    fit = find_density(prepared.values, eps=wish.eps, min_samples=wish.min_samples, seed=wish.seed)
    radius = "given" if wish.eps is not None else "proposed from the knee of the distances"
    radius_zh = "为给定值" if wish.eps is not None else "取自距离曲线的拐点"
    reasons = (
        f"DBSCAN found {fit.groups} groups: at least {fit.min_samples} customers within"
        f" {fit.eps:.3g} ({radius}); {fit.noise:.1%} of customers stand apart.",
        f"DBSCAN 找到 {fit.groups} 群：半径 {fit.eps:.3g}({radius_zh})内至少 {fit.min_samples} 位"
        f"客户；{fit.noise:.1%} 的客户游离在外。",
    )
    notes = []
    if fit.sample_rows < fit.rows:
        notes.append(
            (
                f"Density was measured on {fit.sample_rows:,} of {fit.rows:,} customers; the others"
                " follow the nearest core customer within the radius.",
                f"密度基于 {fit.rows:,} 位客户中的 {fit.sample_rows:,} 位样本，"
                "其余客户随半径内最近的核心客户。",
            )
        )
    if fit.groups < 2:
        notes.append(
            (
                "Fewer than two dense groups: customers form one cloud; K-means can still divide"
                " it.",
                "密集群不足两个：客户连成一片；仍可用 K-means 划分。",
            )
        )
    return "dbscan", _Found(fit.labels, fit, reasons=reasons, notes=notes)


_BY_METHOD: dict[str, Callable[[Prepared, _Wish], tuple[str, _Found]]] = {
    "auto": _by_auto,
    "kmeans": _by_kmeans,
    "ward": _by_ward,
    "dbscan": _by_dbscan,
}


def _by_rfm(table: pd.DataFrame, thresholds: business.Thresholds | str | None) -> _Found:
    if isinstance(thresholds, str):
        if thresholds != "propose":
            raise InvalidParameter(
                f"thresholds is {thresholds!r}", hint="give 'propose' or Thresholds(…)"
            )
        thresholds = business.propose_thresholds(table)
    if thresholds is None:
        scored = business.score_quantiles(table)
        how = ("quantiles: against the other customers", "分位数：与其他客户相比")
    else:
        scored = business.score_thresholds(table, thresholds)
        told = "; ".join(
            f"{side} {', '.join(f'{bound:g}' for bound in getattr(thresholds, side))}"
            for side in business.SIDES
        )
        how = (f"thresholds: {told}", f"业务阈值：{told}")
    named = business.name_scores(scored)
    sizes = named.value_counts()
    held = sorted(
        (one for one in SEGMENTS if one.name in sizes), key=lambda one: (-sizes[one.name], one.name)
    )
    number = {one.name: i for i, one in enumerate(held)}
    portraits = tuple(
        Portrait(one.label, one.label_zh, one.words, one.words_zh, ()) for one in held
    )
    labels = named.map(number).to_numpy(np.int64)
    reasons = (f"RFM by {how[0]}.", f"RFM 按{how[1]}。")
    return _Found(labels, thresholds, portraits=portraits, reasons=reasons)


def _reasons(method: str, k: int, choice: Choice | None, wish: _Wish) -> tuple[str, str]:
    title, title_zh = _TITLES[method]
    if wish.k is None and choice is not None:
        return f"{title}, {choice.reason}.", f"{title_zh}，{choice.reason_zh}。"
    return f"{title}, {k} groups as asked for.", f"{title_zh}，按要求分 {k} 群。"


def _tell(
    method: str, found: _Found, prepared: Prepared, seed: int, meanings: Mapping[str, Meaning]
) -> Segmentation:
    """The groups with their figures and words."""
    labels, k = found.labels, int(found.labels.max(initial=-1)) + 1
    silhouette, ratio, bouldin = judge_labels(prepared.values, labels, seed=seed)
    stability = found.choice.chosen.stability if found.choice else float("nan")
    portraits = found.portraits or _portray(labels, k, prepared, meanings)
    notes = [*_left_out(prepared), *found.notes]
    return Segmentation(
        method=method,
        labels=labels,
        k=k,
        quality=Fitness(silhouette, ratio, bouldin, stability, float((labels < 0).mean())),
        portraits=portraits,
        reason=found.reasons[0],
        reason_zh=found.reasons[1],
        notes=tuple(en for en, _ in notes),
        notes_zh=tuple(zh for _, zh in notes),
        choice=found.choice,
        prepared=prepared,
        fit=found.fit,
    )


def _portray(
    labels: np.ndarray, k: int, prepared: Prepared, meanings: Mapping[str, Meaning]
) -> tuple[Portrait, ...]:
    if not k:
        return ()
    centers = np.stack([prepared.values[labels == group].mean(axis=0) for group in range(k)])
    clusters = Clusters(
        "ok", prepared.names, labels, np.zeros(len(labels)), centers, prepared.values
    )
    return describe_clusters(clusters, prepared.raw, prepared.names, meanings)


def _left_out(prepared: Prepared) -> list[tuple[str, str]]:
    said = {
        "constant": ("the same for everyone", "全体相同"),
        "missing": ("missing throughout", "全部缺失"),
        "identifier": ("an identifier", "为编号"),
    }
    return [
        (f"Column {name} was left out: {said[why][0]}.", f"未使用列 {name}：{said[why][1]}。")
        for name, why in prepared.left_out.items()
    ]
