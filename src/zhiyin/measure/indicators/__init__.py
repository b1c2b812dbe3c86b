"""Indicators: what was sent, done and earned, each defined once, summed by the engine.

`definitions` says what each indicator is, `messages` and `sums` make the sums from tables,
`estimates` makes numbers with intervals of them; `funnels`, `cohorts` and `routes` are views of
what customers do in order. An indicator tells what happened, never what was caused.
"""

__all__ = ["cohorts", "definitions", "estimates", "funnels", "messages", "routes", "sums"]
