"""A Chinese jeweller (珠宝商) whose customers live as those of the preset `jeweller`, as files of
its own systems: 80 stores, Tmall, a mini-programme.

`life`: months of customers, campaigns and orders; `goods`: what is sold, gold by weight at the
price of the day; `files`: all of it as CSV, with mappings.
"""

__all__ = ["files", "goods", "life"]
