"""Models brought in as ONNX: run as they are, refused where they cannot be, judged like our own."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from typer.testing import CliRunner

from tests.unit.understand.predict.test_predict_response import run as score_campaign
from tests.unit.understand.predict.test_predict_response import world as campaigns
from tests.unit.understand.predict.test_predict_tasks import DAY, DAYS, TERMS, world
from zhiyin.app import Workspace
from zhiyin.cli import app
from zhiyin.core.artifact import pack, unpack
from zhiyin.core.config import validate_settings
from zhiyin.core.errors import InputError, InvalidParameter
from zhiyin.core.rng import Streams
from zhiyin.understand.predict.candidates import load_model
from zhiyin.understand.predict.guests import Guest, check_guest
from zhiyin.understand.predict.onnx_model import OnnxModel
from zhiyin.understand.predict.snapshot import score_snapshot
from zhiyin.understand.predict.task import churn
from zhiyin.understand.predict.training import Fitted

LONG_AGO = date(2020, 1, 1)
KNOWS = ("orders_count", "recency_days")


def model_of(*nodes, width=2, output="p", shape=(None, 1), parts=(), opset=18) -> bytes:
    """An ONNX file with the input `x` of `width` floats."""
    graph = helper.make_graph(
        list(nodes), "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, width])],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, list(shape))], list(parts),
    )  # fmt: skip
    made = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10, producer_name="t"
    )
    return made.SerializeToString()


def weights(name, value) -> onnx.TensorProto:
    return numpy_helper.from_array(np.asarray(value, np.float32), name)


def logistic(*slopes: float, bias: float = 0.0) -> bytes:
    """sigmoid(x w + b), as scikit-learn's exporters write it."""
    return model_of(
        helper.make_node("MatMul", ["x", "w"], ["m"]), helper.make_node("Add", ["m", "b"], ["s"]),
        helper.make_node("Sigmoid", ["s"], ["p"]), width=len(slopes),
        parts=[weights("w", [[one] for one in slopes]), weights("b", [bias])],
    )  # fmt: skip


def test_it_says_what_the_formula_says_and_comes_back_from_its_artifact():
    model = OnnxModel(logistic(0.5, -0.25, bias=0.1), [2, 0])
    x = np.random.default_rng(1).normal(size=(50, 3))
    wanted = 1 / (1 + np.exp(-(0.5 * x[:, 2] - 0.25 * x[:, 0] + 0.1)))
    np.testing.assert_allclose(model.predict(x), wanted, atol=1e-6)
    again = load_model(unpack(pack(model.to_artifact())))
    assert np.array_equal(again.predict(x), model.predict(x))


def test_missing_values_are_zero_where_the_model_cannot_take_them():
    model = OnnxModel(logistic(0.5, 0.5), [0, 1])
    found = model.predict(np.array([[np.nan, 1.0], [0.0, 1.0]]))
    assert found[0] == found[1]


CLASSES = model_of(
    helper.make_node("Softmax", ["x"], ["p"], axis=1), width=2, shape=(None, 2)
)  # fmt: skip


def test_of_two_classes_the_second_is_the_probability():
    found = OnnxModel(CLASSES, [0, 1]).predict(np.array([[0.0, 0.0], [0.0, np.log(3)]]))
    np.testing.assert_allclose(found, [0.5, 0.75], atol=1e-6)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"no model at all", "no ONNX model"),
        (logistic(1.0, 1.0)[:-30], "no ONNX model"),
        (logistic(1.0, 1.0, 1.0), "takes 3 features, 2 are named"),
        (model_of(helper.make_node("Sigmoid", ["x"], ["p"]), shape=(None, 2)), "no probability"),
        (
            model_of(
                helper.make_node("MatMul", ["x", "w"], ["m"]),
                helper.make_node("Add", ["m", "b"], ["p"]),
                parts=[weights("w", [[1.0], [1.0]]), weights("b", [7.0])],
            ),
            "no probability",
        ),
    ],
    ids=["rubbish", "cut off", "too wide", "two that are no classes", "no probability"],
)  # fmt: skip
def test_what_cannot_be_run_is_refused_with_a_hint(content, said):
    with pytest.raises(InputError, match=said) as caught:
        OnnxModel(content, [0, 1])
    assert caught.value.hint


def test_weights_in_a_file_beside_it_are_not_read(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "w.bin").write_bytes(np.asarray([[1.0], [1.0]], np.float32).tobytes())
    outside = weights("w", [[1.0], [1.0]])
    outside.ClearField("raw_data")
    outside.data_location = TensorProto.EXTERNAL
    outside.external_data.add(key="location", value="w.bin")
    content = model_of(
        helper.make_node("MatMul", ["x", "w"], ["m"]), helper.make_node("Sigmoid", ["m"], ["p"]),
        parts=[outside],
    )  # fmt: skip
    with pytest.raises(InputError):
        OnnxModel(content, [0, 1])


@pytest.fixture(scope="module")
def tables():
    return world()


def score(tables, *guests, **changes):
    features, happened = tables
    return score_snapshot(
        churn(60).at_days(DAYS), features, outcomes=happened, as_of=DAY, streams=Streams(7),
        terms=replace(TERMS, **changes), guests=guests,
    )  # fmt: skip


def test_a_guest_that_knows_more_wins_and_speaks(tables):
    # churn was planted in recency alone: the guest knows it, our tree has to find it
    guest = Guest("knows", logistic(0.0, 0.3, bias=-9.0), KNOWS, LONG_AGO)
    found = score(tables, guest, candidates=("tree",))
    assert found.card["guests"] == [{"name": "knows", "status": "took_part"}]
    assert found.card["model"] == "onnx_knows"
    assert set(found.scores["model"].to_pylist()) == {"onnx_knows"}
    last = found.card["validation"]["last_fold"]
    assert last["auc_low"] > 0.5
    again = Fitted.from_artifact(unpack(pack(found.artifact)))
    assert again.name == "onnx_knows"


def test_a_guest_that_knows_nothing_stays_silent(tables):
    found = score(tables, Guest("dull", logistic(0.0, 0.0), KNOWS, LONG_AGO))
    assert found.card["model"] != "onnx_dull"
    assert found.scores["model"].to_pylist() == score(tables).scores["model"].to_pylist()


@pytest.mark.parametrize(
    ("guest", "said"),
    [
        (Guest("late", b"", KNOWS, DAYS[1] + timedelta(days=1)), "learned until"),
        (Guest("other", b"", ("visits_count", "recency_days"), LONG_AGO), "not learned from today"),
    ],
)
def test_a_guest_that_cannot_be_judged_fairly_is_left_out_with_the_reason(tables, guest, said):
    features, happened = tables
    empty = features.assign(visits_count=np.nan)
    found = score((empty, happened), guest)
    assert found.status == "ok"
    assert said in found.card["guests"][0]["status"]


@pytest.mark.parametrize(
    ("changes", "task", "subject", "said"),
    [
        ({"name": "../x"}, "churn", "", "no name"),
        ({"features": ("recency_days", "nonsense")}, "churn", "", "nonsense"),
        ({"features": ()}, "churn", "", "missing or double"),
        ({"features": ("offer_spend_window_minor",)}, "churn", "", "offer_spend_window_minor"),
        ({}, "value", "", "no model is brought in"),
        ({}, "category_affinity", "", "has a category"),
        ({}, "churn", "tea", "has no subject"),
    ],
)
def test_a_guest_is_checked_before_it_is_kept(changes, task, subject, said):
    guest = Guest("fine", logistic(0.0, 1.0), KNOWS, LONG_AGO)
    with pytest.raises(InvalidParameter, match=said):
        check_guest(replace(guest, **changes), task=task, subject=subject)


def test_a_guest_takes_part_in_the_response_to_campaigns_of_its_kind():
    # response was planted in orders with coupons; campaign features are known here, too
    asks = ("coupon_orders_count", "offer_spend_window_minor")
    guest = Guest("knows", logistic(0.3, 0.0, bias=-2.0), asks, LONG_AGO)
    check_guest(guest, task="response", subject="A")
    found = score_campaign(campaigns(), compared=("tree",), guests=(guest,))
    assert found.card["guests"] == [{"name": "knows", "status": "took_part"}]
    assert set(found.scores["model"].to_pylist()) == {"onnx_knows"}
    late = replace(guest, learned_until=date(2020, 3, 2))
    found = score_campaign(campaigns(), compared=("tree",), guests=(late,))
    assert "learned until" in found.card["guests"][0]["status"]
    assert set(found.scores["model"].to_pylist()) == {"tree"}


def test_a_model_is_brought_in_listed_and_taken_out(tmp_path):
    folder = tmp_path / "shop"
    Workspace.create(folder, validate_settings({"name": "shop"}, where="test")).close()
    (tmp_path / "mine.onnx").write_bytes(logistic(0.0, 0.1))

    def zhiyin(*words, code=0):
        done = CliRunner().invoke(app, ["models", *words, "-w", str(folder)])
        assert done.exit_code == code, done.output
        return done

    arguments = ["--task", "churn", "--learned-until", "2024-01-01", "--by", "ann"]
    path = str(tmp_path / "mine.onnx")
    wrong = zhiyin("import", path, *arguments, "--features", "orders_count,nothing", code=1)
    assert "nothing" in str(wrong.exception)
    for _ in range(2):  # again: in the place of the first
        said = zhiyin("import", path, *arguments, "--features", "orders_count, recency_days")
        assert said.stdout == "mine takes part in churn from the next turn on\n"
    assert zhiyin("guests").stdout == "churn mine: 2 features, learned until 2024-01-01\n"
    zhiyin("remove", "mine", "--task", "churn", "--by", "ann")
    assert zhiyin("guests").stdout == ""
    assert zhiyin("remove", "mine", "--task", "churn", "--by", "ann", code=1)
