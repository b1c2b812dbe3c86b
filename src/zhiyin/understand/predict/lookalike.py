"""Look-alike: who among the others is most like the people on a list (the seeds).

Seeds are positives; everybody else is *unlabelled*, not negative: among them are those who are
looked for. A model that tells seeds from the unlabelled ranks people as one that told them from
true negatives would. Source: Elkan and Noto (2008).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from zhiyin.core.rng import Streams
from zhiyin.core.values import Estimate
from zhiyin.understand.predict.calibration import Platt
from zhiyin.understand.predict.candidates import Maker, pick_candidates
from zhiyin.understand.predict.quality import auc_delong, best_first, placements
from zhiyin.understand.predict.reasons import base_values, describe, effects, strongest
from zhiyin.understand.predict.samples import PERFECT, missing_first
from zhiyin.understand.predict.shortage import OK, Missing
from zhiyin.understand.predict.training import Fitted

MIN_SEEDS = 50
PER_SEED, MOST = 20, 50_000  # others learned from: at most so many a seed, and in all
FOLDS = 5
SHARES = (0.01, 0.05, 0.1)
TOLD = 20_000  # how many of the first get reason codes
TOO_CLEAR = 0.98
STRICT = 4.5  # standard errors above .5; of 160 random lists the highest reached 3.9
_CHUNK = 100_000
_SHOWN, _SAME = 8, 0.8  # differences shown; a rank correlation from which two say the same
_CANDIDATES = ("logistic", "boosting")


@dataclass(frozen=True)
class Apart:
    """How seeds differ in one feature: `chance` that a seed has more of it than another customer.

    Ties count half and missing values are below all others. Intervals hold together over all
    features at 95 %. `seeds`, `others`: medians, None where nothing is known. `defines`: the
    feature alone says who is on the list, so it was not learned from.
    """

    feature: str
    chance: Estimate
    seeds: float | None
    others: float | None
    defines: bool


@dataclass(frozen=True)
class Quality:
    """How well held-out seeds are told from the others.

    All figures are lower bounds for what is looked for: others who are alike count as mistakes.
    `recall`: share of the others to the share of held-out seeds who would stand among them.
    `clear`: the AUC is further from .5 than random lists reach, by `STRICT`. Folds share rows and
    the better candidate was taken, so that on random lists DeLong's error is too small by up to a
    half.
    """

    auc: Estimate
    clear: bool
    recall: Mapping[float, float]
    candidates: Mapping[str, float]

    @property
    def lift(self) -> dict[float, float]:
        """Recall as a multiple of what a random order would find."""
        return {share: found / share for share, found in self.recall.items()}


@dataclass(frozen=True, eq=False)
class Alike:
    """Who is no seed, most alike first (place 0 has rank 1), or `missing`, which says why not.

    `score` is the chance, as the model sees it, that somebody like her is on the list; `reasons`
    are JSON, empty lists after the first `TOLD`. `listed` counts the list, `seeds` those of it that
    are known on the day, `customers` everyone known. `defining` are features left out.
    """

    listed: int
    seeds: int
    customers: int
    ids: np.ndarray
    score: np.ndarray
    reasons: tuple[str, ...] = ()
    fitted: Fitted | None = None
    quality: Quality | None = None
    apart: tuple[Apart, ...] = ()
    top_effects: tuple[dict, ...] = ()
    learned: int = 0
    defining: tuple[str, ...] = ()
    missing: Missing | None = None

    @property
    def status(self) -> str:
        return self.missing.code if self.missing else OK


def find_alike(
    features: np.ndarray,
    seeds: np.ndarray,
    ids: np.ndarray,
    *,
    names: Sequence[str],
    whole: Sequence[bool],
    streams: Streams,
    listed: int | None = None,
    makers: Mapping[str, Maker] | None = None,
) -> Alike:
    """Rank everybody who is no seed by how like the seeds she is.

    Parameters
    ----------
    features
        (n, d) features of a day, missing values as NaN; columns that differ somewhere.
    seeds
        (n,) whether she is on the list.
    ids
        (n,) customer ids, each once.
    names, whole
        Of each feature its name, and whether its values are whole numbers.
    streams
        Chance; the same seed gives the same result for any order of the rows.
    listed
        How long the list is; None: all of it are rows.
    makers
        Candidates by name; None: logistic regression and boosted trees. The first of the best wins.

    Returns
    -------
    The ranking, with ties by id. There is none, and `missing` says why, with fewer than `MIN_SEEDS`
    seeds, too few others to compare with, or with an AUC that random lists reach as well.

    Notes
    -----
    Learned from are at most `MOST` seeds and as many others as `PER_SEED` a seed, at most `MOST`,
    in `FOLDS` folds over both; the winner by mean AUC of the folds is fitted on all of them, and
    its intercept brought back to the shares of the day. A feature that alone tells nearly all seeds
    (AUC >= `samples.PERFECT`) is what the list was made by: learning it would find nobody but those
    who miss it by little, so it is left out.
    """
    order = np.argsort(ids, kind="stable")
    mine = seeds[order].astype(bool)
    n_seeds, n = int(mine.sum()), len(mine)
    counts = (n_seeds if listed is None else listed, n_seeds, n)
    if (short := _too_few(*counts)) is not None:
        return _refused(counts, short)
    rows = _draw(mine, streams)
    labels, known = mine[rows].astype(np.int64), features[order[rows]]
    apart, defining = _set_apart(known, labels, names)
    kept = [j for j in range(len(names)) if j not in defining]
    sample = known[:, kept]
    if not kept:
        return _refused(counts, _NOTHING_ELSE, apart)
    quality, chosen = _choose(
        sample, labels, makers=makers or pick_candidates(_CANDIDATES), streams=streams
    )
    if not quality.clear:
        return _refused(counts, _no_different(quality.auc), apart, quality)
    maker = (makers or pick_candidates(_CANDIDATES))[chosen]
    model = maker().fit(sample, labels, rng=streams.generator(f"alike/{chosen}/all"))
    drawn = labels.sum() / n_seeds, (1 - labels).sum() / (n - n_seeds)
    share = Platt(intercept=float(np.log(drawn[1] / drawn[0])))
    fitted = Fitted(chosen, model, share, tuple(names[j] for j in kept), base_values(sample))
    others = order[~mine]
    parts = np.array_split(others, len(others) // _CHUNK + 1)
    score = np.concatenate([fitted.predict(features[part][:, kept]) for part in parts]).round(9)
    best = best_first(score, ids[others])
    others, score = others[best], score[best]
    told = features[others[:TOLD]][:, kept]
    made = effects(fitted.predict, told, fitted.base)
    reasons = describe(made, told, fitted.names, [whole[j] for j in kept])
    return Alike(
        *counts, ids[others], score, (*reasons, *["[]"] * (len(others) - len(reasons))), fitted,
        quality, apart, tuple(strongest(made, fitted.names)), len(labels),
        tuple(names[j] for j in sorted(defining)),
    )  # fmt: skip


def _draw(mine: np.ndarray, streams: Streams) -> np.ndarray:
    """The rows to learn from, in their order."""
    rng = streams.generator("alike/sample")
    seeds, others = np.flatnonzero(mine), np.flatnonzero(~mine)
    drawn = [
        rows if len(rows) <= most else rng.choice(rows, size=most, replace=False)
        for rows, most in ((seeds, MOST), (others, min(PER_SEED * len(seeds), MOST)))
    ]
    return np.sort(np.concatenate(drawn))


def _choose(
    x: np.ndarray, labels: np.ndarray, *, makers: Mapping[str, Maker], streams: Streams
) -> tuple[Quality, str]:
    """The best candidate on seeds and others that it did not learn from."""
    fold_of = np.zeros(len(labels), dtype=np.int64)
    rng = streams.generator("alike/folds")
    for kind in (0, 1):
        rows = np.flatnonzero(labels == kind)
        fold_of[rng.permutation(rows)] = np.arange(len(rows)) % FOLDS
    found: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    for name, maker in makers.items():
        said, above = np.zeros(len(labels)), np.zeros(len(labels))
        for k in range(FOLDS):
            test = fold_of == k
            model = maker().fit(x[~test], labels[~test], rng=streams.generator(f"alike/{name}/{k}"))
            said[test] = model.predict(x[test])
            held = test & (labels == 1)
            above[held] = placements(said[held], said[test & (labels == 0)])
        found[name] = said, above[labels == 1]
    means = {name: float(above.mean()) for name, (_, above) in found.items()}
    chosen = max(means, key=lambda name: means[name])
    said, above = found[chosen]
    recall = {share: float((above >= 1 - share).mean()) for share in SHARES}
    auc = auc_delong(labels, said, value=means[chosen])
    strict = auc_delong(labels, said, value=means[chosen], z=STRICT)
    return Quality(auc, strict.low > 0.5, recall, means), chosen


def _set_apart(
    x: np.ndarray, labels: np.ndarray, names: Sequence[str]
) -> tuple[tuple[Apart, ...], set[int]]:
    """The clearest differences that do not say the same, and the features that define the list."""
    z = NormalDist().inv_cdf(1 - 0.025 / max(len(names), 1))
    columns = [missing_first(x[:, j]) for j in range(len(names))]
    chances = [auc_delong(labels, column, z=z) for column in columns]
    far = [abs(one.value - 0.5) for one in chances]
    defining = {j for j, reach in enumerate(far) if reach >= PERFECT - 0.5}
    order = sorted(range(len(names)), key=lambda j: (-round(far[j], 9), names[j]))
    shown: list[tuple[int, np.ndarray]] = []
    for j in order:
        if len(shown) == _SHOWN or chances[j].low <= 0.5 <= chances[j].high:
            continue
        ranks = np.unique(columns[j], return_inverse=True)[1].astype(float)
        if all(abs(np.corrcoef(ranks, other)[0, 1]) < _SAME for _, other in shown):
            shown.append((j, ranks))
    made = [
        Apart(
            names[j], chances[j], _median(x[labels == 1, j]), _median(x[labels == 0, j]),
            j in defining,
        )
        for j, _ in shown
    ]  # fmt: skip
    return tuple(made), defining


def _median(values: np.ndarray) -> float | None:
    known = values[~np.isnan(values)]
    return float(np.median(known)) if len(known) else None


def refuse(missing: Missing) -> Alike:
    """No ranking, before anything was looked at."""
    return _refused((0, 0, 0), missing)


def _refused(
    counts: tuple[int, int, int],
    missing: Missing,
    apart: tuple[Apart, ...] = (),
    quality: Quality | None = None,
) -> Alike:
    nobody = np.array([], dtype=object)
    return Alike(
        *counts, nobody, np.array([]), quality=quality, apart=apart, missing=missing
    )  # fmt: skip


def _too_few(listed: int, seeds: int, customers: int) -> Missing | None:
    if seeds < MIN_SEEDS:
        return Missing(
            "too_few_seeds",
            f"{seeds} of the {listed} people on the list are known on the day; "
            f"{MIN_SEEDS} are needed",
            f"名单上的 {listed} 人中当日已知 {seeds} 人；至少需要 {MIN_SEEDS} 人",
        )
    if customers - seeds < MIN_SEEDS:
        return Missing(
            "too_few_others",
            f"{seeds} of {customers} customers are on the list: nobody is left to find",
            f"{customers} 位客户中已有 {seeds} 位在名单上：没有可寻找的其他人",
        )
    return None


def _no_different(auc: Estimate) -> Missing:
    shown = f"{auc.value:.3f} [{auc.low:.3f}, {auc.high:.3f}]"
    return Missing(
        "not_apart",
        "these people are no different from everyone in what is known: random lists reach an AUC "
        f"of {shown} as well",
        f"就已知信息而言，这些人与其他客户没有区别：随机名单也能达到 AUC {shown}",
    )


_NOTHING_ELSE = Missing(
    "nothing_else_known",
    "everything known of these people is what the list was made by",
    "除名单的筛选条件本身外，对这些人没有其他已知信息",
)


HINTS: Mapping[str, tuple[str, str]] = {
    "too_few_seeds": (
        "take a longer list, or a wider rule for the audience",
        "请使用更长的名单，或放宽受众规则",
    ),
    "too_few_others": (
        "choose fewer, the best of them, as seeds",
        "请只选其中最好的一部分作为种子",
    ),
    "not_apart": (
        "choose people who have something in common, or load more of what they do",
        "请选择有共同点的人群，或导入更多行为数据",
    ),
    "nothing_else_known": ("load more of what customers do", "请导入更多客户行为数据"),
    "no_snapshot": (
        "run a turn first (zhiyin run): tags, scores and segments come at its end",
        "请先运行一轮（zhiyin run）：标签、评分与分群在其末尾产生",
    ),
}
"""What to do about each `missing`, in English and Chinese."""
