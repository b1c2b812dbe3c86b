"""Customer value: how many purchases to expect, who is still a customer, what each is worth."""

from zhiyin.understand.value.bgnbd import BgNbd, fit_bgnbd
from zhiyin.understand.value.pareto_nbd import ParetoNbd, fit_pareto_nbd

__all__ = ["BgNbd", "ParetoNbd", "fit_bgnbd", "fit_pareto_nbd"]
