"""What one column alone says of the target, on rows that were not looked at."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from zhiyin.core.values import Estimate
from zhiyin.understand.predict.encoding import PARTS, Rates, split_parts
from zhiyin.understand.predict.quality import auc_delong
from zhiyin.understand.predict.table import is_number, is_time, read_numbers, read_times, read_words

BINS = 40
BIN_ROWS = 25  # least rows a bin of numbers should hold
PREFIX = 3  # letters
FEW = 50  # distinct prefixes or lengths that may be levels
_DIGITS = re.compile(r"\d{1,15}")


@dataclass(frozen=True)
class Signal:
    """Out-of-part log-odds of each row by one column alone, and their AUC."""

    margin: np.ndarray
    auc: Estimate


def signal_of_codes(codes: np.ndarray, labels: np.ndarray, *, rng: np.random.Generator) -> Signal:
    """The signal of (n,) levels, each encoded by the response of the other parts of the rows."""
    levels = int(codes.max(initial=0)) + 1
    part = split_parts(len(labels), rng=rng)
    margin = Rates.encode_training(codes, labels, levels=levels, part=part)
    # parts have means of their own: order within each part is what counts
    for k in range(PARTS):
        rows = part == k
        margin[rows] -= Rates.fit(codes[~rows], labels[~rows], levels=levels).values[-1]
    return Signal(margin, auc_delong(labels, margin))


def codes_of_numbers(value: np.ndarray) -> np.ndarray:
    """Levels of numbers: each value where they are few, otherwise bins; missing is level 0."""
    known = ~np.isnan(value)
    codes = np.zeros(len(value), dtype=np.int64)
    if not known.any():
        return codes
    bins = int(np.clip(known.sum() // BIN_ROWS, 2, BINS))
    distinct = np.unique(value[known])
    edges = distinct
    if len(distinct) > bins:
        edges = np.unique(np.quantile(value[known], np.linspace(0, 1, bins + 1)[:-1]))
    codes[known] = np.searchsorted(edges, value[known], side="right")
    return codes


def codes_of_words(words: np.ndarray) -> np.ndarray:
    """Levels of text; missing is a level like any other."""
    return np.unique(words.astype(str), return_inverse=True)[1].astype(np.int64)


def column_codes(column: pd.Series) -> np.ndarray:
    """Levels of any column, by what it holds."""
    if is_time(column):
        return codes_of_numbers(read_times(column))
    if is_number(column):
        return codes_of_numbers(read_numbers(column))
    return codes_of_words(read_words(column))


def identifier_codes(column: pd.Series) -> Mapping[str, np.ndarray]:
    """What an identifier may give away: its order, its first letters, its length."""
    if is_number(column):
        return {"order": codes_of_numbers(read_numbers(column))}
    words = read_words(column)
    runs = [_DIGITS.search(word) for word in words]
    number = np.array([float(run.group()) if run else np.nan for run in runs])
    found = {"order": codes_of_numbers(number)}
    prefix = codes_of_words(np.array([word[:PREFIX] for word in words], dtype=object))
    length = codes_of_words(np.array([str(len(word)) for word in words], dtype=object))
    for name, codes in (("prefix", prefix), ("length", length)):
        if 0 < codes.max(initial=0) < FEW:
            found[name] = codes
    alphabet = np.argsort(np.argsort(words.astype(str), kind="stable"), kind="stable")
    return found | {"alphabet": codes_of_numbers(alphabet.astype(float))}


def likeness(first: Signal, second: Signal) -> float:
    """Absolute correlation of two signals; 0 where one is constant."""
    a, b = (s.margin - s.margin.mean() for s in (first, second))
    size = np.sqrt((a @ a) * (b @ b))
    return float(abs(a @ b) / size) if size > 0 else 0.0
