"""Customers drawn from a model: what a fit must find again, and what a forecast may look like."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Simulated:
    """Simulated customers, one row each.

    Attributes
    ----------
    frequency, recency, age
        (n,) histories as `fit_bgnbd` and `fit_pareto_nbd` take them.
    alive
        (n,) whether the customer was still alive at her age.
    times
        Time of each repeat purchase since the first, and `customers` whose it was (row number).
    """

    frequency: np.ndarray
    recency: np.ndarray
    age: np.ndarray
    alive: np.ndarray
    times: np.ndarray
    customers: np.ndarray


def simulate_dropout(
    ages: np.ndarray, rates: np.ndarray, leave: np.ndarray, *, rng: np.random.Generator
) -> Simulated:
    """Customers who drop out with probability `leave` after each repeat purchase."""
    alive = np.ones(len(ages), dtype=bool)
    clock = np.zeros(len(ages))
    times, customers = [], []
    buying = np.flatnonzero(rates > 0)
    while len(buying):
        clock[buying] += rng.exponential(1 / rates[buying])
        buying = buying[clock[buying] <= ages[buying]]
        times.append(clock[buying].copy())
        customers.append(buying)
        gone = rng.uniform(size=len(buying)) < leave[buying]
        alive[buying[gone]] = False
        buying = buying[~gone]
    return collect_purchases(ages, alive, times, customers)


def simulate_lifetime(
    ages: np.ndarray, rates: np.ndarray, lifetimes: np.ndarray, *, rng: np.random.Generator
) -> Simulated:
    """Customers who buy at random until their lifetime is over."""
    seen = np.minimum(ages, lifetimes)
    counts = rng.poisson(rates * seen)
    customers = np.repeat(np.arange(len(ages)), counts)
    times = rng.uniform(size=len(customers)) * seen[customers]
    return collect_purchases(ages, lifetimes > ages, [times], [customers])


def collect_purchases(
    ages: np.ndarray,
    alive: np.ndarray,
    times: list[np.ndarray],
    customers: list[np.ndarray],
) -> Simulated:
    """Histories of purchases that were drawn in parts."""
    when = np.concatenate([*times, np.zeros(0)])
    who = np.concatenate([*customers, np.zeros(0, dtype=np.int64)]).astype(np.int64)
    order = np.lexsort((when, who))
    when, who = when[order], who[order]
    last = np.zeros(len(ages))
    np.maximum.at(last, who, when)
    frequency = np.bincount(who, minlength=len(ages)).astype(np.float64)
    return Simulated(frequency, last, ages.copy(), alive, when, who)
