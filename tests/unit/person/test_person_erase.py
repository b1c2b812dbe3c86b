"""After an erasure no file of a real workspace names the person, and no total has changed."""

import people
import pytest
import sqlalchemy as sa

from zhiyin.core import columns as c
from zhiyin.core.errors import NotFound
from zhiyin.core.ledger import (
    audit,
    consent_requests,
    consents,
    jobs,
    languages,
    messages,
    reviews,
    steps,
    suppressions,
    tasks,
)
from zhiyin.govern.suppression import address_token
from zhiyin.person import erase as erasing
from zhiyin.person import find_person
from zhiyin.store.ledger import reading
from zhiyin.store.traces import find_traces


def rows_of(shop, table):
    with reading(shop.store.ledger) as connection:
        return [dict(row) for row in connection.execute(sa.select(table)).mappings()]


def identity_ids(shop, party):
    rows = shop.table("identities").to_pyarrow().to_pylist()
    return [row[c.IDENTITY_ID] for row in rows if row[c.PARTY_ID] == party]


def values_of(shop, table, column):
    return shop.table(table).select(column).to_pyarrow().column(column).to_pylist()


def add_choices(shop):
    """A consent with its proof, one that was asked for, the language she chose."""
    party = people.party_of(shop, people.ANA)
    (proof,) = shop.vault.seal([party], [{"ip": "192.0.2.7"}])
    at = people.NOW.replace(tzinfo=None)
    row = {
        "request_id": "r", "party_id": party, "purpose": "marketing", "channel": "email",
        "language": "en", "source": "form", "text_version": "1", "proof": proof, "asked_at": at,
        "asked_by": "t", "expires_at": at,
    }  # fmt: skip
    with shop.store.begin() as connection:
        connection.execute(consent_requests.insert().values(**row))
        connection.execute(languages.insert().values(party_id=party, language="zh", at=at))
        connection.execute(consents.update().values(proof=proof))
        connection.execute(messages.update().values(address_token="hash"))


def make(folder):
    shop = people.make_shop(folder)
    ids = people.add_messages(shop)
    people.add_task(shop, ids[people.ANA])
    people.add_derived(shop)
    people.add_online(shop)
    chosen = people.add_point(shop)
    add_choices(shop)
    shop.render = lambda: (shop.folder / "reports" / "report.html").write_text("anew")
    (shop.folder / "reports" / "report.html").write_text(
        f"top: {people.party_of(shop, people.ANA)}"
    )
    needles = [
        *people.OF_ANA, people.party_of(shop, people.ANA), ids[people.ANA],
        f"d_{people.party_of(shop, people.ANA)}", *chosen,
        *identity_ids(shop, people.party_of(shop, people.ANA)),
    ]  # fmt: skip
    return shop, needles


def erase(shop, customer=people.ANA):
    return erasing.erase_customer(
        shop.store, shop.vault, customer, folder=shop.folder, clock=shop.clock, render=shop.render
    )


@pytest.fixture(scope="module")
def erased(tmp_path_factory):
    shop, needles = make(tmp_path_factory.mktemp("erase"))
    assert find_traces(shop.folder, needles), "she was there before"
    proof = erase(shop)
    yield shop, needles, proof
    shop.close()


def test_no_file_names_her(erased):
    shop, needles, proof = erased
    assert find_traces(shop.folder, needles) == []
    assert proof.traces == ()
    with pytest.raises(NotFound):
        find_person(shop.store, shop.vault, people.ANA)


def test_choices_at_points_and_what_came_of_them_stay_as_facts_of_nobody(erased):
    shop, *_ = erased
    rows = {name: shop.table(name).to_pyarrow().to_pylist() for name in ("decisions", "outcomes")}
    points = [one for one in rows["decisions"] if one["decided_by"] == "point"]
    assert len(points) == 4
    assert sum(one["decision_id"].startswith("d_2") for one in points) == 2
    assert len(rows["outcomes"]) == 2
    (hers,) = (one for one in rows["outcomes"] if one["outcome_id"] != "o_" + "2" * 32)
    assert hers["decision_id"] in {one["decision_id"] for one in points}
    held = shop.store.numbers.generation()
    rows_of = [held.row_of(people.party_of(shop, one)) for one in (people.ANA, people.BEA)]
    assert rows_of[0] == -1 < rows_of[1]


def test_requests_find_nothing_of_her_and_a_similar_customer_as_before(erased):
    shop, *_ = erased
    held = shop.store.online.generation()
    assert held.row_of(people.party_of(shop, people.ANA)) == -1
    bea = held.row_of(people.party_of(shop, people.BEA))
    assert len(held.people("candidates", bea)["item"]) == 1
    assert len(held.people("bought", bea)["item"]) == 2
    parties = [people.party_of(shop, one) for one in (people.ANA, people.BEA)]
    assert [len(shop.store.online.recent.read([one])) for one in parties] == [0, 1]


def test_totals_are_equal_and_the_proof_says_so_in_both_languages(erased):
    _, _, proof = erased
    assert proof.totals_equal
    assert proof.before["order_lines"].rows == 24
    assert "144.36 EUR" in proof.text("en", currency="EUR")
    assert "删除前 = 删除后" in proof.text("zh")
    assert [one for one in people.OF_ANA if one in proof.text("en")] == []


def test_ids_that_held_her_source_id_are_new_and_still_join(erased):
    shop, _, proof = erased
    assert proof.rekeyed[c.ORDER_ID] == 6
    orders = set(values_of(shop, "orders", c.ORDER_ID))
    lines = shop.table("order_lines").to_pyarrow().to_pylist()
    assert {line[c.ORDER_ID] for line in lines} == orders
    assert all(line[c.LINE_ID].startswith(line[c.ORDER_ID]) for line in lines)


def test_a_similar_customer_keeps_everything(erased):
    shop, _, _ = erased
    bea = people.party_of(shop, people.BEA)
    assert find_person(shop.store, shop.vault, people.OF_BEA[1]).customer_id == bea
    assert values_of(shop, "orders", c.PARTY_ID).count(bea) == 6
    assert f"laden:{people.BEA}-1" in values_of(shop, "orders", c.ORDER_ID)
    assert (shop.folder / "outbox" / "m_zq81735.eml").exists()


def test_files_that_name_her_are_gone_and_the_report_is_made_anew(erased):
    shop, _, _ = erased
    assert not (shop.folder / "outbox" / "m_zq81734.eml").exists()
    assert not (shop.folder / "outbox" / "preview.json").exists()
    assert (shop.folder / "reports" / "report.html").read_text() == "anew"


def test_reports_of_jobs_no_longer_name_her_or_her_messages(erased):
    shop, _, _ = erased
    examples = rows_of(shop, steps)[0]["report"]["figures"]["examples"]
    assert examples == ["[erased]", "[erased]", "[erased]", "m_zq81735"]


def test_her_addresses_stay_suppressed(erased):
    shop, _, _ = erased
    held = {(row["token"], row["channel"]) for row in rows_of(shop, suppressions)}
    email = address_token(shop.vault, "email", "ANA.zq81734@example.com")
    phone = address_token(shop.vault, "sms", "+8613912345678")
    assert {(email, "email"), (phone, "sms"), (phone, "call")} <= held


def test_a_tombstone_without_her_ids_stays_and_no_job_does(erased):
    shop, _, _ = erased
    entry = rows_of(shop, audit)[-1]
    assert entry["action"] == "people.erase"
    assert entry["detail"]["totals_equal"] is True
    assert rows_of(shop, jobs) == []


def test_messages_and_consents_are_kept_without_her(erased):
    shop, _, _ = erased
    bea = people.party_of(shop, people.BEA)
    other = [row for row in rows_of(shop, messages) if row["party_id"] != bea]
    assert [(row["state"], row["content"]) for row in other] == [("sent", None)]
    decisions = shop.table("decisions").to_pyarrow().to_pylist()
    assert {row["decision_id"] for row in other} < {row[c.DECISION_ID] for row in decisions}
    assert len(rows_of(shop, consents)) == 2
    assert [row["address_token"] for row in other] == [None]


def test_nothing_is_left_of_what_she_was_asked_and_chose(erased):
    shop, _, _ = erased
    bea = people.party_of(shop, people.BEA)
    assert rows_of(shop, consent_requests) == rows_of(shop, languages) == []
    assert rows_of(shop, tasks) == []
    assert [row["party_id"] for row in rows_of(shop, reviews)] == [bea]
    hers = [row for row in rows_of(shop, consents) if row["party_id"] != bea]
    assert [row["proof"] for row in hers] == [None]


def test_a_planted_trace_is_seen(tmp_path):
    shop, _ = make(tmp_path)
    detail = {"planted": people.OF_ANA[1]}
    with shop.store.begin() as connection:
        connection.execute(
            audit.insert().values(at=shop.clock.now(), actor="x", action="x", detail=detail)
        )
    proof = erase(shop)
    assert proof.traces == ("ledger.db",)
    assert "NOT CLEAN" in proof.text("en")
    shop.close()


@pytest.mark.parametrize("step", ["rekey_person", "erase_parties", "_finish"])
def test_an_erasure_that_was_cut_off_is_completed_by_the_next(tmp_path, monkeypatch, step):
    shop, needles = make(tmp_path)

    class Killed(Exception):
        pass

    def kill(*_, **__):
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(erasing, step, kill)
        with pytest.raises(Killed):
            erase(shop)
    assert len(erasing.pending_erasures(shop.store)) == 1
    assert erase(shop).totals_equal
    assert find_traces(shop.folder, needles) == []
    assert shop.table("order_lines").count().to_pyarrow().as_py() == 24
    orders = set(values_of(shop, "orders", c.ORDER_ID))
    assert set(values_of(shop, "order_lines", c.ORDER_ID)) == orders
    assert erasing.pending_erasures(shop.store) == []
    shop.close()
