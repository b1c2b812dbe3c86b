"""Customer value: how many purchases to expect, who is still a customer, what each is worth."""

from zhiyin.understand.value.bgnbd import BgNbd, fit_bgnbd

__all__ = ["BgNbd", "fit_bgnbd"]
