"""How well and how fast is sentiment learned from labelled reviews, and how fast are words found?

Without arguments: the hotel reviews ChnSentiCorp_htl_all and the takeaway reviews waimai_10k, where
`ZHIYIN_SHARED` has them, 80/20 stratified, seed 42. `--data FILE --split 42` does so with one file,
`--train A --test B` with two. Files are CSV, with a column `label` and one of texts. Everything was
chosen by cross-validation within training parts; the test part is looked at once, here. In the
same run: plain character TF-IDF with a linear support vector machine (runs of 1 to 2, 1 to 3), and
snownlp's own model on 300 test texts where `ZHIYIN_SNOWNLP` names a Python that has it. Rates are
per CPU second on one thread, from raw text, the best of three. Calibration: mean gap over 10
equal-count bins, beside what perfect probabilities would show by chance.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.metrics import accuracy_score, f1_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC
from threadpoolctl import threadpool_limits

from bench.harness import Goal, at_least, at_most, emit
from zhiyin.lang import Tokeniser
from zhiyin.understand.predict.quality import calibration_error, calibration_floor
from zhiyin.understand.text import train_sentiment

SHARED = Path(os.environ.get("ZHIYIN_SHARED") or Path(__file__).parents[2] / "shared")
KNOWN = {
    "hotel": ("ChnSentiCorp_htl_all", 0.915),
    "takeaway": ("waimai_10k", 0.900),
}
SEED, SNOWNLP_TEXTS = 42, 300
ASK = (
    "import json, sys; from snownlp import SnowNLP; "
    "print(json.dumps([SnowNLP(t).sentiments > .5 for t in json.load(sys.stdin)]))"
)
Part = tuple[list[str], np.ndarray]


def read(path: Path) -> Part:
    """Texts and labels of a CSV file: column `label`, and that of the longest texts."""
    table = pd.read_csv(path)
    others = [name for name in table.columns if name != "label"]
    text = max(others, key=lambda name: table[name].astype(str).str.len().mean())
    table = table.dropna(subset=["label", text])
    return table[text].astype(str).tolist(), table["label"].to_numpy()


def split(part: Part, seed: int) -> tuple[Part, Part]:
    """80 % to train on and 20 % to test on, with equal shares of labels."""
    texts, labels = part
    train, test, of_train, of_test = train_test_split(
        texts, labels, test_size=0.2, stratify=labels, random_state=seed
    )
    return (train, of_train), (test, of_test)


def rate(count: int, run: Callable[[], object]) -> float:
    """How many a CPU second, the best of three."""
    best = np.inf
    for _ in range(3):
        begin = time.process_time()
        run()
        best = min(best, time.process_time() - begin)
    return round(count / best)


def measure(name: str, train: Part, test: Part) -> dict[str, object]:
    """Figures of ours and of the peers on one split."""
    begin = time.process_time()
    model = train_sentiment(*train)
    spent = time.process_time() - begin
    chances = model.predict_proba(test[0])
    said = np.array(model.classes)[chances.argmax(axis=1)]
    rng = np.random.default_rng(SEED)
    sides = [1] if len(model.classes) == 2 else range(len(model.classes))
    gaps = [
        calibration_error((test[1] == model.classes[one]) * 1, chances[:, one]) for one in sides
    ]
    figures: dict[str, object] = {
        "accuracy": accuracy_score(test[1], said),
        "macro_f1": f1_score(test[1], said, average="macro"),
        "cross_validated_accuracy": model.quality.accuracy,
        "calibration_error": max(gaps),
        "calibration_noise_floor": max(
            calibration_floor(chances[:, one], rng=rng) for one in sides
        ),
        "train_cpu_s": spent,
        "reviews_per_cpu_s": rate(len(test[0]), lambda: model.predict_proba(test[0])),
    }
    for most in (2, 3):
        peer = make_pipeline(
            TfidfVectorizer(analyzer="char", ngram_range=(1, most)), LinearSVC(random_state=0)
        ).fit(*train)
        figures[f"char_1_{most}_tfidf_svc_accuracy"] = peer.score(*test)
        figures[f"char_1_{most}_tfidf_svc_reviews_per_cpu_s"] = rate(
            len(test[0]), lambda peer=peer: peer.predict(test[0])
        )
    return {f"{name}_{key}": value for key, value in (figures | ask_snownlp(test)).items()}


def ask_snownlp(test: Part) -> dict[str, object]:
    """Accuracy of snownlp's model, where a Python with it is named and labels are 0 and 1."""
    python = os.environ.get("ZHIYIN_SNOWNLP")
    if not python or set(np.unique(test[1])) != {0, 1}:
        return {}
    texts = [text if text.strip() else "." for text in test[0][:SNOWNLP_TEXTS]]
    done = subprocess.run(
        [python, "-c", ASK], input=json.dumps(texts), check=True, stdout=subprocess.PIPE, text=True
    )
    said = np.array(json.loads(done.stdout)) * 1
    return {"snownlp_accuracy_of_300": float(np.mean(said == test[1][: len(said)]))}


def time_words(texts: Sequence[str]) -> dict[str, object]:
    """Characters a CPU second of tokenising text by text; of rjieba alone, and joined by lines."""
    tokeniser = Tokeniser()
    many = sum(map(len, texts))
    joined = ["\n".join(texts[at : at + 1_000]) for at in range(0, len(texts), 1_000)]

    def each(run: Callable[[str], object], pieces: Sequence[str]) -> float:
        return rate(many, lambda: deque(map(run, pieces), maxlen=0))

    return {
        "tokenise_characters_per_cpu_s": each(tokeniser.tokenise, texts),
        "rjieba_cut_characters_per_cpu_s": each(tokeniser.cut, texts),
        "rjieba_cut_joined_characters_per_cpu_s": each(tokeniser.cut, joined),
    }


def choose(arguments: argparse.Namespace) -> Mapping[str, tuple[Part, Part, float | None]]:
    """The splits to measure, by name, with the goal of each."""
    if arguments.train:
        return {"given": (read(arguments.train), read(arguments.test), None)}
    if arguments.data and arguments.data not in KNOWN:
        return {"given": (*split(read(Path(arguments.data)), arguments.split), None)}
    found = {}
    for name in [arguments.data] if arguments.data else KNOWN:
        folder, goal = KNOWN[name]
        path = SHARED / "data" / folder / f"{folder}.csv.gz"
        if path.exists():
            found[name] = (*split(read(path), arguments.split), goal)
    return found


def main() -> None:
    """Measure every split, print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--train", type=Path)
    parser.add_argument("--test", type=Path)
    parser.add_argument("--data", help="hotel, takeaway or a CSV file")
    parser.add_argument("--split", type=int, default=SEED)
    arguments = parser.parse_known_args()[0]
    if bool(arguments.train) != bool(arguments.test):
        parser.error("--train and --test go together")
    chosen = choose(arguments)
    if not chosen:
        parser.error("no data: name files, or set ZHIYIN_SHARED")
    figures: dict[str, object] = {}
    goals: dict[str, Goal] = {}
    with threadpool_limits(1):
        for name, (train, test, goal) in chosen.items():
            figures |= measure(name, train, test)
            goals |= {} if goal is None else {f"{name}_accuracy": at_least(goal)}
            goals |= {
                f"{name}_calibration_error": at_most(0.03),
                f"{name}_train_cpu_s": at_most(60.0),
                f"{name}_reviews_per_cpu_s": at_least(5_000),
            }
        figures |= time_words([text for train, _, _ in chosen.values() for text in train[0]])
    goals["tokenise_characters_per_cpu_s"] = at_least(5_000_000)
    emit(
        "text",
        data="; ".join(chosen) + f", 80/20 stratified, seed {arguments.split}"
        if not arguments.train
        else f"{arguments.train.name} to train on, {arguments.test.name} to test on",
        rows={name: len(train[0]) + len(test[0]) for name, (train, test, _) in chosen.items()},
        figures={
            key: round(value, 4) if isinstance(value, float) else value
            for key, value in figures.items()
        },
        goals=goals,
    )


if __name__ == "__main__":
    main()
