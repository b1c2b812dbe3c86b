"""Customer value: how many purchases to expect, who is still a customer, what each is worth."""

from zhiyin.understand.value.bgnbd import BgNbd, fit_bgnbd
from zhiyin.understand.value.decay import measure_decay
from zhiyin.understand.value.forecast import Forecast, forecast_value
from zhiyin.understand.value.gamma_gamma import GammaGamma, fit_gamma_gamma
from zhiyin.understand.value.holdout import (
    compare_conditional,
    compare_frequencies,
    track_purchases,
)
from zhiyin.understand.value.lifetime import estimate_clv
from zhiyin.understand.value.pareto_nbd import ParetoNbd, fit_pareto_nbd
from zhiyin.understand.value.purchases import read_purchases
from zhiyin.understand.value.summary import Summary, summarise

__all__ = [
    "BgNbd",
    "Forecast",
    "GammaGamma",
    "ParetoNbd",
    "Summary",
    "compare_conditional",
    "compare_frequencies",
    "estimate_clv",
    "fit_bgnbd",
    "fit_gamma_gamma",
    "fit_pareto_nbd",
    "forecast_value",
    "measure_decay",
    "read_purchases",
    "summarise",
    "track_purchases",
]
