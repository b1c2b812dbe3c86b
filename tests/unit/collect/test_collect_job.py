from __future__ import annotations

from datetime import date

from zhiyin.collect import job
from zhiyin.core.context import Context
from zhiyin.core.rng import Streams

HEAD = "order_id,user_id,product_id,sold_at,quantity,price\n"


def run(store, vault, settings, clock, as_of):
    return job.run(Context(settings, store, vault, clock, Streams(1), as_of, "t"))


def test_the_job_adds_up_what_is_visible_before_the_day(load, store, vault, settings, clock):
    text = HEAD + "1,ann,A,2026-01-05,1,3\n2,,A,2026-01-06,1,1\n3,ann,A,2026-01-08,1,100\n"
    load("order_lines", text + "4,ann,A,never,1,1\n")
    report = run(store, vault, settings, clock, date(2026, 1, 8))
    assert report.figures["net_minor"] == 400
    assert report.figures["rows_without_customer_share"] == 0.5
    assert report.figures["revenue_without_customer_share"] == 0.25
    assert report.figures["visible"]["orders"] == 2
    assert report.figures["quarantined"] == 1
    assert report.rows == {}


def test_an_empty_workspace_is_a_result(store, vault, settings, clock):
    figures = run(store, vault, settings, clock, date(2026, 1, 8)).figures
    assert (figures["net_minor"], figures["rows_without_customer_share"]) == (0, 0.0)
    assert figures["first_sold_at"] is None
