"""Refused rows become a file to mend; formulas in it stay texts; loading it again is exact."""

from __future__ import annotations

import csv
import json
import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from tests.unit.collect.fakes import rows_of
from zhiyin.cli import app
from zhiyin.collect.files import read_raw
from zhiyin.collect.intake import Wish, load_plan, plan_load
from zhiyin.collect.mend import Refusal, is_error_file, read_refusals, restore, write_errors
from zhiyin.core.errors import InputError, NotFound

HEAD = "order_id,user_id,product_id,sold_at,quantity,price,note\n"


def export(store, vault, report, path, workspace):
    rows, headers = read_refusals(store, report.load_id, unseal=vault.unseal_with)
    return write_errors(path, rows, headers, load_id=report.load_id, workspace=workspace)


def cells(path):
    with path.open(encoding="utf-8-sig", newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.fixture
def shop(tmp_path):
    folder = tmp_path / "shop"
    folder.mkdir()
    return folder


def test_mended_rows_join_their_order_and_nothing_is_doubled(
    load, store, vault, clock, settings, tmp_path, shop
):
    text = HEAD + (
        "1,ann,A,2026-01-05,1,2.00,\n1,ann,B,someday,1,3.00,=1+1\n1,ann,C,2026-01-05,1,5.00,\n"
        "2,bob,D,2026-01-06,1\n"
    )
    report = load("order_lines", text)
    path = tmp_path / "errors.csv"
    assert export(store, vault, report, path, shop) == 2
    bad, short = cells(path)
    assert (bad["zhiyin_line"], bad["zhiyin_reason"], bad["sold_at"]) == (
        "3", "wrong_type", "someday",
    )  # fmt: skip
    assert bad["note"] == "'=1+1"
    assert (short["order_id"], short["quantity"], short["price"]) == ("2", "1", "")
    mended = path.read_text("utf-8-sig").replace("someday", "2026-01-05")
    path.write_text(mended.replace("2026-01-06,1,,", "2026-01-06,1,7.00,"))
    plan = plan_load(shop, path, Wish(), store=store)
    assert plan.by == "mended"
    (again,) = load_plan(store, vault, settings, clock, plan)
    assert (again.loaded, again.quarantined) == (2, 0)
    lines = {row["line_id"]: row for row in rows_of(store, "order_lines")}
    assert {key: row["product_id"] for key, row in lines.items()} == {
        "shop:1:1": "shop:A", "shop:1:2": "shop:B", "shop:1:3": "shop:C", "shop:2:line5": "shop:D",
    }  # fmt: skip
    assert lines["shop:1:2"]["properties"] == '{"note": "=1+1"}'
    orders = {row["order_id"]: row["amount_minor"] for row in rows_of(store, "orders")}
    assert orders == {"shop:1": 10_00, "shop:2": 7_00}


def test_an_error_file_is_its_owners_alone_and_new(load, store, vault, tmp_path, shop):
    report = load("stores", "store_id,city\n1,Rome\n1,Paris\n")
    path = tmp_path / "errors.csv"
    export(store, vault, report, path, shop)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(InputError, match="cannot be written"):
        export(store, vault, report, path, shop)


@pytest.mark.parametrize("name", ["errors.csv", "../shop/errors.csv", "link/errors.csv"])
def test_it_is_refused_inside_the_workspace_by_any_path(load, store, vault, tmp_path, shop, name):
    report = load("stores", "store_id,city\n1,Rome\n1,Paris\n")
    (tmp_path / "link").symlink_to(shop)
    path = (tmp_path if name.startswith("link") else shop) / name
    with pytest.raises(InputError, match="inside the workspace"):
        export(store, vault, report, path, shop)
    assert list(shop.iterdir()) == []


def test_an_unknown_load_is_an_error(store, vault):
    with pytest.raises(NotFound):
        read_refusals(store, "l_none", unseal=vault.unseal_with)


CELLS = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\x00\r\n"), max_size=12
)


@given(st.lists(st.tuples(st.sampled_from(["", "=", "+", "-", "@", "'", "\t", "''="]), CELLS),
                min_size=1, max_size=6))  # fmt: skip
def test_what_a_spreadsheet_could_run_is_guarded_and_comes_back_as_it_was(tmp_path_factory, parts):
    folder = tmp_path_factory.mktemp("mend")
    texts = [start + rest for start, rest in parts]
    names = [f"h{place}" for place in range(len(texts))]
    body = json.dumps(dict(zip(names, texts, strict=True))).encode()
    path = folder / "e.csv"
    write_errors(
        path, [Refusal(2, "wrong_type", "m", body)], names, load_id="l", workspace=folder / "w"
    )
    (row,) = cells(path)
    assert not any(row[name][:1] in set("=+-@\t") for name in names)
    raw = read_raw(path)
    assert is_error_file(raw.rows.column_names)
    back = restore(raw).rows.to_pylist()[0]
    assert [back[name] for name in names] == texts


def test_the_command_writes_errors_and_loads_them_again(tmp_path):
    def zhiyin(*words, code=0):
        done = CliRunner().invoke(app, [str(word) for word in words])
        assert done.exit_code == code, done.output
        return done.stdout

    shop, path = tmp_path / "w", tmp_path / "s.csv"
    zhiyin("init", shop)
    path.write_text("order_id,user_id,product_id,sold_at,quantity,price\n1,a,P,someday,1,2\n")
    dry = zhiyin("load", "order_lines", path, "-w", shop, "--dry-run", code=1)  # no row is right
    assert "line 2 · sold_at · wrong_type" in dry
    out = tmp_path / "bad.csv"
    report = json.loads(
        zhiyin(
            "load", "order_lines", path, "-w", shop, "--errors", out, "--json", code=1
        ).split("\n/")[0]
    )  # fmt: skip
    assert report["problems"][0]["column"] == "sold_at"
    assert cells(out)[0]["sold_at"] == "someday"
    other = tmp_path / "again.csv"
    assert "again.csv: 1" in zhiyin("errors", report["load_id"], "--to", other, "-w", shop)
    out.write_text(out.read_text("utf-8-sig").replace("someday", "2026-01-05"))
    assert "a mended error file" in zhiyin("load", out, "-w", shop)
