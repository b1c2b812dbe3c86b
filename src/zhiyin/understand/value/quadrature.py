"""Integrals with positive terms only: no cancellation where closed forms with 2F1 lose digits."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy.linalg import eigh_tridiagonal

NODES = 64


@lru_cache(maxsize=8)
def legendre(count: int = 32) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights of Gauss and Legendre on [0, 1]."""
    nodes, weights = np.polynomial.legendre.leggauss(count)
    return (nodes + 1) / 2, weights / 2


@lru_cache(maxsize=4096)
def beta_nodes(a: float, b: float, count: int = NODES) -> tuple[np.ndarray, np.ndarray]:
    """Nodes in (0, 1) and weights that sum to 1 of the beta distribution with shapes `a`, `b`.

    Golub and Welsch (1969) on the Jacobi recurrence; exact for polynomials of degree 2 count - 1,
    and free of overflow for large shapes, which `scipy.special.roots_jacobi` is not.
    """
    left, right = b - 1.0, a - 1.0  # exponents of (1 - y) and (1 + y), y = 2 p - 1
    total = left + right
    k = np.arange(1, count, dtype=np.float64)
    diagonal = np.empty(count)
    diagonal[0] = (right - left) / (total + 2)
    diagonal[1:] = (right**2 - left**2) / ((2 * k + total) * (2 * k + total + 2))
    off = np.empty(count - 1)
    off[0] = 4 * (1 + left) * (1 + right) / ((2 + total) ** 2 * (3 + total))
    j = k[1:]
    off[1:] = (4 * j * (j + left) * (j + right) * (j + total)) / (
        (2 * j + total) ** 2 * (2 * j + total + 1) * (2 * j + total - 1)
    )
    values, vectors = eigh_tridiagonal(diagonal, np.sqrt(off))
    return np.clip((values + 1) / 2, 0.0, 1.0), vectors[0] ** 2
