"""Act: what was decided reaches the customer, through one gate, each message at most once.

`job` plans and delivers, `ledger` keeps the state of every message, `gate` says who may be
written to, `create` makes the e-mail, `channels` hand it over, `preview` shows it beforehand.
"""

from __future__ import annotations

__all__ = ["channels", "create", "delivery", "gate", "job", "ledger", "links", "preview"]
