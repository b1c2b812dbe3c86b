"""Decisions whose effect lasts: the state that a contact leaves is the one the next starts from.

`model`: a problem that is known, solved exactly. `learning`: action values of states with numbers,
`fitted`: of customers with features, both from a log alone. `gradient`: a policy that gets better
by living, in a simulator.
"""

__all__ = ["fitted", "gradient", "learning", "model"]
