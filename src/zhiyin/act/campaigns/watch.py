"""Watches a campaign while it goes out: paused or cancelled, or its stop rule is broken."""

from __future__ import annotations

from zhiyin.act.campaigns.definition import Stop
from zhiyin.act.campaigns.ledger import RUNNING, Campaign, Ends, count_ends, pause, read_state
from zhiyin.core.clock import naive_utc
from zhiyin.core.context import Context

LOOK_S = 0.25  # between two looks at the state within a batch
REST = 10.0  # the stop rule is asked again after so many times what asking took
STOP_RULE = "stop rule"


def find_broken(stop: Stop | None, ends: Ends) -> str | None:
    """Which part of the stop rule is broken, in words; None: none, or too few were sent."""
    if stop is None or ends.sent < stop.after:
        return None
    for name in ("complaints", "bounces", "unsubscribes"):
        limit, found = getattr(stop, name), getattr(ends, name)
        if limit is not None and found > limit * ends.sent:
            return f"{name}: {found} of {ends.sent} sent, more than {limit:g}"
    return None


class CampaignWatch:
    """Lets a delivery go on while its campaign runs.

    Parameters
    ----------
    longest_s
        Seconds after which the delivery makes room for others; None: never.
    """

    def __init__(self, ctx: Context, campaign: Campaign, *, longest_s: float | None = None) -> None:
        self._ctx, self._campaign, self._longest_s = ctx, campaign, longest_s
        self._begun = self._looked = ctx.clock.monotonic()
        self._ask_at = self._begun
        self._runs = True

    def between(self) -> bool:
        """Look at the state, and at the stop rule, which pauses the campaign."""
        now = self._ctx.clock.monotonic()
        if self._longest_s is not None and now - self._begun >= self._longest_s:
            return False
        if self._look(now) and now >= self._ask_at:
            self._enforce()
            took = self._ctx.clock.monotonic() - now
            self._ask_at = now + took * (1 + REST)
        return self._runs

    def within(self) -> bool:
        """The state, as it was a moment ago at most."""
        now = self._ctx.clock.monotonic()
        return self._runs if now - self._looked < LOOK_S else self._look(now)

    def _look(self, now: float) -> bool:
        with self._ctx.store.begin() as connection:
            self._runs = read_state(connection, self._campaign) == RUNNING
        self._looked = now
        return self._runs

    def _enforce(self) -> None:
        held, stop = self._campaign, self._campaign.definition.stop
        if stop is None or held.counted_from is None:
            return
        with self._ctx.store.begin() as connection:
            ends = count_ends(connection, held.campaign_id, since=held.counted_from)
            broken = find_broken(stop, ends)
            if broken is not None:
                now = naive_utc(self._ctx.clock.now())
                pause(connection, held.key, by=STOP_RULE, now=now, reason=broken)
                self._runs = False
