"""Latency from a table: a sum over operations, and errors that name what is missing."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import archwright as aw
from archwright.errors import BudgetError, GraphError
from archwright.evaluators.latency import measure_table, operations
from archwright.graph.latency import entry, latency, read_table
from archwright.problem import Constraint, Problem, Signature
from archwright.space import OUTPUTS, Space, chain, choice, op

SIGNATURE = Signature(((1, 6, 6),), (3,))


def space() -> Space:
    return Space(
        chain(
            op("conv_bn_relu", width=choice(4, 8), kernel=choice(1, 3), name="stem"),
            choice(op("max_pool"), op("identity"), name="pool"),
            op("global_avg_pool"),
            op("linear", width=OUTPUTS, name="head"),
        ),
        "tiny",
    )


def ones() -> dict[str, float]:
    return {entry(call): 1.0 for call in operations(space(), SIGNATURE)}


def test_the_latency_is_the_sum_over_the_operations() -> None:
    rng = np.random.default_rng(0)
    for _ in range(10):
        graph = space().graph(space().sample(rng), SIGNATURE)
        assert latency(graph, ones()) == len(list(graph.operations()))


def test_all_operations_of_a_space_are_found() -> None:
    table, tiny = ones(), space()
    assert all(tiny.graph(found, SIGNATURE).latency(table) > 0 for found in tiny.architectures())


def test_a_missing_operation_is_named_with_its_place() -> None:
    table = {key: value for key, value in ones().items() if not key.startswith("conv_bn_relu")}
    graph = space().graph(space().sample(np.random.default_rng(0)), SIGNATURE)
    with pytest.raises(GraphError, match=r"At 'stem'.*no entry for conv_bn_relu\(.*1x6x6\..*archwright latency"):
        graph.latency(table)


def test_measured_tables_have_a_positive_time_for_each_operation(tmp_path: Path) -> None:
    seen = []
    table = measure_table(space(), SIGNATURE, tick=lambda done, count: seen.append((done, count)))
    assert table["entries"].keys() == ones().keys()
    assert all(value > 0 for value in table["entries"].values())
    assert seen[-1] == (len(table["entries"]),) * 2
    path = tmp_path / "table.json"
    path.write_text(json.dumps(table))
    assert read_table(path) == table["entries"]


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"entries": {}}', '{"entries": {"a": "x"}}', '{"entries": {"a": -1}}']
)
def test_what_is_no_table_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "table.json"
    path.write_text(text)
    with pytest.raises(GraphError, match=r"table\.json.*expected|table\.json.*Expected"):
        read_table(path)
    with pytest.raises(GraphError, match="Cannot read"):
        read_table(tmp_path / "none.json")


def test_constraints_on_the_latency_hold_before_training() -> None:
    table = {key: (5.0 if "width=8" in key else 1.0) for key in ones()}
    problem = Problem(
        space(), SIGNATURE, (aw.Objective("score"),), (Constraint.parse("latency_ms<=5"),), settings={"latency": table}
    )
    for architecture in space().architectures():
        wide = dict(space().describe(architecture))["stem.width"] == "8"
        assert problem.feasible(architecture) is not wide
        assert problem.costs(architecture)["latency_ms"] == problem.graph(architecture).latency(table)  # type: ignore[attr-defined]


def data() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.normal(size=(120, 1, 6, 6)).astype(np.float32), rng.integers(0, 3, 120)


def test_searches_keep_the_bound_and_report_the_latency(tmp_path: Path) -> None:
    table = {key: (5.0 if "width=8" in key else 1.0) for key in ones()}
    found = aw.search(
        data(),
        space=space(),
        strategy="random",
        objectives=["accuracy", "min:latency_ms"],
        constraints="latency_ms<=5",
        latency=table,
        budget="3 trials",
        workers=1,
        store=tmp_path,
        progress="none",
    )
    values = [trial.value("latency_ms") for trial in found.trials]
    assert values
    assert all(value is not None and value <= 5 for value in values)


@pytest.mark.parametrize(
    ("settings", "error", "words"),
    [
        ({"constraints": "latency_ms<=5"}, BudgetError, "without a latency table.*archwright latency"),
        ({"latency": {"linear": 1.0}}, GraphError, "no entry for"),
        ({"latency": "nowhere.json"}, GraphError, "Cannot read the latency table"),
    ],
)
def test_a_table_that_does_not_fit_is_refused_before_anything_runs(
    tmp_path: Path, settings: dict, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        aw.search(
            data(), space=space(), budget="2 trials", workers=1, store=tmp_path / "s", progress="none", **settings
        )
    assert not list((tmp_path / "s").glob("*-1"))
