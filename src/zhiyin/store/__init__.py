"""The workspace's storage: lake (Delta), engine (DuckDB), ledger (SQL), vault (keys), erasure.

Wiring imports the modules: `workspace.open_store`, `vault.open_vault`, `leases.hold_lease`,
`erase.erase_parties`, `traces.find_traces`.
"""

from __future__ import annotations

__all__ = ["erase", "lake", "leases", "ledger", "traces", "vault", "workspace"]
