"""Campaigns that leave as files: gated twice, sent once, whole or not at all; lists for ads."""

from __future__ import annotations

import csv
import hashlib
from collections import Counter
from datetime import timedelta

import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa

from tests.unit.act.shop import DAY, LONG_AGO, ZONE
from zhiyin.act import job
from zhiyin.act.campaigns.definition import parse_definition
from zhiyin.act.lists import export_job
from zhiyin.act.lists.plain import guard, make_contact
from zhiyin.act.lists.writer import ListWriter, part_of
from zhiyin.audiences import Audiences
from zhiyin.campaigns import Campaigns
from zhiyin.core import columns as c
from zhiyin.core.clock import FrozenClock, run_moment
from zhiyin.core.errors import InputError, InvalidParameter
from zhiyin.core.ledger import audit, consents, messages

FOR_ALL = {"type": "trait", "field": "language", "op": "in", "value": ["en"]}
KEY = "list"
TEXT = {"subject": "Hello {{ name }}", "text": "=Dear {{ name }}", "link": "https://s.example/a"}


class Desk:
    def __init__(self, shop, folder):
        self.shop, self.folder = shop, folder
        self.clock = FrozenClock(run_moment(DAY, ZONE))
        (folder / "shop").mkdir()

    @property
    def campaigns(self):
        ctx = self.shop.context(clock=self.clock)
        return Campaigns(ctx, Audiences(self.shop.store, self.shop.vault, self.clock, DAY))

    def start(self, **changes):
        made = parse_definition({"key": KEY, "rule": FOR_ALL, "channel": "file"} | changes)
        self.campaigns.create(made, by="Ana")
        self.campaigns.start(KEY, by="Ana")
        return self.campaigns.plan(KEY)

    def export(self, name="out.csv", **options):
        path = self.folder / name
        made = self.campaigns.export(
            KEY, path, by="Ana", workspace=self.folder / "shop", **options
        )  # fmt: skip
        return made, path

    def states(self):
        with self.shop.store.begin() as connection:
            rows = connection.execute(sa.select(messages.c.state, messages.c.reason)).all()
        return Counter(map(tuple, rows))

    def word(self, *keys, purpose="ads", channel="web", granted=True, days=0):
        rows = [
            {"consent_id": f"{key}|{purpose}|{granted}|{days}", "party_id": self.shop.party(key),
             "purpose": purpose, "channel": channel, "granted": granted,
             "at": LONG_AGO + timedelta(days=days), "source": "s"}
            for key in keys
        ]  # fmt: skip
        with self.shop.store.begin() as connection:
            connection.execute(consents.insert(), rows)


@pytest.fixture
def desk(shop, tmp_path):
    return Desk(shop, tmp_path)


def lines_of(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_what_is_exported_passed_the_gate_twice_and_is_sent_once(desk):
    desk.shop.add("a", "b", "x")
    desk.shop.add("no", consent=False)
    assert desk.start() == 4
    desk.shop.consent("x", granted=False, days=1)
    made, path = desk.export()
    assert made.lines == 2
    assert made.left_out == {"consent_refused": 1}
    rows = lines_of(path)
    assert list(rows[0]) == ["customer_id", "name", "email", "language", "variant"]
    assert {row["email"] for row in rows} == {"a@shop.example", "b@shop.example"}
    assert desk.states() == {("sent", None): 2, ("skipped", "consent_refused"): 2}
    assert desk.campaigns.shown(KEY)["state"] == "done"
    with pytest.raises(InvalidParameter, match="done"):
        desk.export("again.csv")
    assert path.stat().st_mode & 0o077 == 0
    with desk.shop.store.begin() as connection:
        last = connection.execute(sa.select(audit).order_by(audit.c.entry_id.desc())).all()
    exported = next(row for row in last if row.action == "campaign.exported")
    assert exported.detail["lines"] == 2
    assert exported.detail["left_out"] == {"consent_refused": 1}
    assert "shop.example" not in str(exported.detail)


def test_what_was_exported_is_written_again_for_who_may_still_be_on_it(desk):
    desk.shop.add("a", "b")
    desk.start()
    desk.export()
    desk.shop.consent("b", granted=False, days=2)
    made, path = desk.export("again.csv", what="again")
    assert (made.lines, made.left_out) == (1, {"consent_refused": 1})
    assert [row["email"] for row in lines_of(path)] == ["a@shop.example"]
    assert desk.states() == {("sent", None): 2}


def test_texts_are_filled_and_no_cell_is_a_formula(desk):
    desk.shop.add("a", first_name="Ana", phone="+13125550100")
    columns = ["phone", "subject", "text", "link", "unsubscribe_url"]
    desk.start(variants=[{"name": "v", "en": TEXT}], file={"columns": columns})
    (row,) = lines_of(desk.export()[1])
    assert row["subject"] == "Hello Ana"
    assert row["text"] == "'=Dear Ana"
    assert row["phone"] == "+13125550100"
    assert row["link"] == "https://s.example/a"
    assert "/u/m_" in row["unsubscribe_url"]


@pytest.mark.parametrize("text", ["=1+1", "+1+1", "-1", "@SUM(A1)", "\tx", "＝1", "+86 10"])
def test_what_a_spreadsheet_would_run_gets_an_apostrophe(text):
    assert guard(text) == f"'{text}"


def test_for_text_messages_the_consent_and_the_address_are_those_of_the_phone(desk):
    desk.shop.add("a", "b", phone="+13125550100")
    desk.word("a", purpose="marketing", channel="sms")
    desk.start(file={"reaches": "sms", "columns": ["phone"]})
    _, path = desk.export()
    assert lines_of(path) == [{"phone": "+13125550100"}]
    assert desk.states() == {("sent", None): 1, ("skipped", "consent_missing"): 1}


def test_parquet_has_the_same_lines_in_chunks(desk, monkeypatch):
    monkeypatch.setattr(export_job, "CHUNK", 2)
    desk.shop.add(*[f"c{n}" for n in range(5)])
    desk.start()
    _, path = desk.export("out.parquet")
    assert pq.ParquetFile(path).num_row_groups == 3
    emails = pq.read_table(path)["email"].to_pylist()
    assert sorted(emails) == [f"c{n}@shop.example" for n in range(5)]


def test_a_file_is_not_replaced_and_never_stands_in_the_workspace(desk):
    desk.shop.add("a")
    desk.start()
    taken = desk.folder / "out.csv"
    taken.write_text("mine")
    for name, said in (
        ("out.csv", "exists"), ("shop/out.csv", "workspace"), ("out.xlsx", "no name"),
        ("none/out.csv", "cannot be written"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=said):
            desk.export(name)
    assert taken.read_text() == "mine"
    assert desk.states() == {("planned", None): 1}
    desk.export(force=True)
    assert lines_of(taken)[0]["email"] == "a@shop.example"


def test_a_parquet_file_that_fails_leaves_nothing(desk, monkeypatch):
    desk.shop.add("a")
    desk.start()
    with monkeypatch.context() as patched:
        patched.setattr(ListWriter, "publish", killed)
        with pytest.raises(InputError, match="killed"):
            desk.export("out.parquet")
    assert [one.name for one in desk.folder.iterdir()] == ["shop"]
    assert desk.states() == {("planned", None): 1}


def test_an_export_that_fails_leaves_no_file_and_everything_planned(desk, monkeypatch):
    desk.shop.add("a", "b")
    desk.start()

    written = ListWriter._write_csv

    def full(self, rows):
        if "email" not in rows[0]:
            raise OSError(28, "No space left on device")
        written(self, rows)

    with monkeypatch.context() as patched:
        patched.setattr(ListWriter, "_write_csv", full)
        with pytest.raises(InputError, match="No space"):
            desk.export()
    assert [one.name for one in desk.folder.iterdir()] == ["shop"]
    assert desk.states() == {("planned", None): 2}
    assert desk.export()[0].lines == 2


def killed(_):
    raise InputError("killed")


@pytest.mark.parametrize(("whole", "sent"), [(False, 2), (True, 0)])
def test_a_killed_export_is_done_again_unless_its_file_was_whole(desk, monkeypatch, whole, sent):
    """Killed: nothing after that point runs, not even what tidies up."""
    desk.shop.add("a", "b")
    desk.start()
    with monkeypatch.context() as patched:
        patched.setattr(ListWriter, "__exit__", lambda self, *_: self._binary.close())
        patched.setattr(export_job, "settle_lines", lambda *_, **__: 0)
        if not whole:
            patched.setattr(ListWriter, "publish", killed)
            with pytest.raises(InputError, match="killed"):
                desk.export()
        else:
            desk.export()
    assert desk.states() == {("sending", None): 2}
    made, _ = desk.export("again.csv")
    assert made.lines == sent
    assert desk.states() == {("sent", None): 2}
    assert not part_of(desk.folder / "out.csv").exists()


def test_nothing_to_write_makes_no_file(desk):
    desk.shop.add("a", consent=False)
    desk.start()
    made, path = desk.export()
    assert made.lines == 0
    assert not path.exists()


def test_such_a_campaign_is_not_sent_by_a_channel(desk):
    desk.shop.add("a")
    desk.start()
    ctx = desk.shop.context(clock=desk.clock)
    with pytest.raises(InvalidParameter, match="leaves as a file"):
        job.deliver(ctx, f"zhiyin:{KEY}", progress=lambda *_: None)


def test_an_ad_list_needs_the_consent_for_ads_and_not_that_for_marketing(desk):
    desk.shop.add("a", "b", "c", "d", "e")
    desk.word("a", "b", "c")
    desk.word("c", granted=False, channel="*", days=1)
    desk.word("e", purpose="marketing", granted=False, days=1, channel="email")
    desk.word("e")
    desk.shop.suppress("b@shop.example")
    desk.start(channel="google_ads")
    assert desk.states() == {
        ("planned", None): 2, ("skipped", "suppressed"): 1,
        ("skipped", "consent_refused"): 1, ("skipped", "consent_missing"): 1,
    }  # fmt: skip
    made, path = desk.export()
    assert made.lines == 2
    rows = lines_of(path)
    assert list(rows[0]) == ["Email", "Phone", "First Name", "Last Name", "Country", "Zip"]
    assert {row["Email"] for row in rows} == {
        hashlib.sha256(f"{key}@shop.example".encode()).hexdigest() for key in "ae"
    }
    assert "shop.example" not in path.read_text()


def test_a_phone_is_enough_for_an_ad_list_and_its_suppression_holds(desk):
    desk.shop.add("a", email="", phone="+16505551212")
    desk.shop.add("b", email="", phone="+16505551213")
    desk.word("a", "b")
    desk.start(channel="meta_ads")
    desk.shop.suppress("+16505551213", channel="sms")
    made, path = desk.export()
    assert made.left_out == {"suppressed": 1}
    (row,) = lines_of(path)
    assert row["phone"] == "e323ec626319ca94ee8bff2e4c87cf613be6ea19919ed1364124e16807ab3176"
    assert row["email"] == ""


def test_who_refused_since_is_on_the_list_of_removals(desk):
    desk.shop.add("a", "b")
    desk.word("a", "b")
    desk.start(channel="meta_ads")
    desk.export()
    assert desk.export("none.csv", what="removals")[0].lines == 0
    assert not (desk.folder / "none.csv").exists()
    desk.word("b", granted=False, days=2)
    made, path = desk.export("off.csv", what="removals")
    assert made.lines == 1
    (row,) = lines_of(path)
    assert row["email"] == hashlib.sha256(b"b@shop.example").hexdigest()
    assert desk.states() == {("sent", None): 2}


def test_ads_are_no_messages_for_the_caps(desk):
    desk.shop.add("a")
    desk.word("a")
    desk.start(channel="google_ads")
    desk.export()
    with desk.shop.store.begin() as connection:
        (row,) = connection.execute(sa.select(messages)).all()
    assert (row.purpose, row.channel) == ("ads", "ads")
    capped = desk.shop.with_settings(cap_messages=1)
    capped.decide("a")
    job.run(capped.context(), capped.settings.act)
    assert capped.states()[desk.shop.party("a")] == ("planned", None)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"channel": "google_ads", "purpose": "marketing"}, "does not go"),
        ({"channel": "email", "purpose": "ads", "variants": [{"name": "a", "en": TEXT}]}, "go"),
        ({"channel": "meta_ads", "caps": ["all:1/7d"]}, "no budget"),
        ({"file": {"columns": ["text"]}}, "need a text"),
        ({"file": {"columns": ["password"]}}, "file.columns"),
        ({"channel": "task", "variants": [{"name": "a", "en": TEXT}]}, "has none"),
    ],
)
def test_what_cannot_be_meant_is_refused(changes, said):
    with pytest.raises(InvalidParameter, match=said):
        parse_definition({"key": KEY, "rule": FOR_ALL, "channel": "file"} | changes)


def test_fields_are_found_by_what_their_names_mean():
    rows = [
        {"Billing Name": "Ana Silva", "Billing Zip": 94016, "email": "a@x.example"},
        {c.COUNTRY: "US", "phone": "6505551212"},
    ]
    made = make_contact(rows, calling_code="1")
    assert (made.first_name, made.last_name, made.zip) == ("Ana", "Silva", "94016")
    assert (made.country, made.phone) == ("US", "+16505551212")
    named = make_contact(
        [{"given_name": "志明", "Last Name": "王", "收件人": "x"}], calling_code=""
    )
    assert (named.first_name, named.last_name) == ("志明", "王")
