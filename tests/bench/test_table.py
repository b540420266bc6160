from __future__ import annotations

import pickle

import numpy as np
import pytest

from archwright.bench import Table, TableEvaluator, TableSpace, choice_space
from archwright.bench.table import Row
from archwright.errors import ArchitectureError, DataError, EvaluationError
from archwright.problem import Architecture, ChoiceSpace, Fidelity, Problem, Proposal, Signature
from archwright.problem.settings import Objective
from archwright.space.zoo.nas_bench_201 import from_ops, nas_bench_201
from archwright.strategies import Evolution, Random
from archwright.testing.strategy import check_strategy

SIGNATURE = Signature(((1,),), (1,))


@pytest.fixture(scope="module")
def table():
    return small_table()


def small_table():
    space = choice_space("tiny", {"kernel": [3, 5], "width": [8, 16, 32]})
    listed = [architecture.choices for architecture in space.architectures()]
    wrapped = TableSpace(space.expression, space.name, listed[:5])
    return Table(wrapped, {"score": np.arange(5.0), "took": np.arange(5.0) + 1, "gap": np.array([0, 1, np.nan, 3, 4])})


def problem(table, **changes):
    return Problem(table.space, SIGNATURE, (Objective("accuracy"),), **changes)


def test_a_row_is_what_is_known_of_a_network(table):
    for row, choices in enumerate(table.space.index):
        architecture = Architecture(choices)
        assert table.space.row(architecture) == row
        assert table.space.graph(architecture, SIGNATURE) is table.space.rows[row]


def test_it_is_a_whole_space():
    space = nas_bench_201()
    listed = [from_ops([a, b, 3, 3, 0, 1]).choices for a in range(5) for b in range(5)]
    wrapped, rng = TableSpace(space.expression, space.name, listed), np.random.default_rng(0)
    assert isinstance(wrapped, ChoiceSpace)
    assert (wrapped.size, wrapped.choices()) == (space.size, space.choices())
    for choices in listed:
        architecture = Architecture(choices)
        wrapped.validate(architecture)
        assert (wrapped.encode(architecture) == space.encode(architecture)).all()
        assert (wrapped.encode_paths(architecture) == space.encode_paths(architecture)).all()
        assert list(wrapped.neighbours(architecture)) == list(space.neighbours(architecture))
        child = wrapped.mutate(architecture, rng)
        assert sum(one != other for one, other in zip(child.choices, choices)) == 1
    with pytest.raises(ArchitectureError):
        wrapped.validate(Architecture((("cell.edge0_1", 9), *listed[0][1:])))


def test_it_survives_the_way_to_another_process(table):
    copy = pickle.loads(pickle.dumps(table.space))
    assert copy == table.space
    assert copy.rows == table.space.rows


def test_rows_are_there_once(table):
    listed = list(table.space.index)
    with pytest.raises(DataError, match="expected each once"):
        TableSpace(table.space.expression, "twice", [*listed, listed[0]], [Row(str(number)) for number in range(6)])


def test_equal_fingerprints_share_a_class(small):
    space = small.load(None, 0).space
    assert len(set(space.classes.tolist())) == 18
    for row, number in zip(space.rows, space.classes):
        assert {other.fingerprint for other, its in zip(space.rows, space.classes) if its == number} == {
            row.fingerprint
        }


def test_an_evaluation_is_looked_up(table):
    evaluate = TableEvaluator(table, {"accuracy": "score", "other": "gap"}, "took")
    found = evaluate(Proposal(Architecture(list(table.space.index)[3])), problem(table), 0)
    assert (found.values, found.seconds) == ({"accuracy": 3.0, "other": 3.0}, 4.0)


def test_what_is_not_in_the_table_fails_with_a_reason(table):
    evaluate = TableEvaluator(table, {"accuracy": "score"})
    missing = table.space.architecture({"kernel": 1, "width": 2})
    with pytest.raises(EvaluationError, match="5 of the 6 architectures"):
        evaluate(Proposal(missing), problem(table), 0)
    assert table.space.graph(missing, SIGNATURE).fingerprint == missing.id
    first = Architecture(next(iter(table.space.index)))
    with pytest.raises(EvaluationError, match="full fidelity"):
        evaluate(Proposal(first, Fidelity(1)), problem(table, fidelity=Fidelity(3)), 0)


def test_columns_are_checked(table):
    with pytest.raises(DataError, match="no column 'accuracy'; it has gap, score, took"):
        TableEvaluator(table, {"accuracy": "accuracy"})
    with pytest.raises(DataError, match="negative or missing"):
        TableEvaluator(table, {"accuracy": "score"}, "gap")
    with pytest.raises(DataError, match=r"expected \(5,\)"):
        Table(table.space, {"short": np.zeros(4)})


def test_the_digest_depends_on_the_columns_it_is_asked_for():
    one, other = small_table(), small_table()
    assert one.digest(["score"]) == other.digest(["score", "score"])
    assert one.digest(["score"]) != one.digest(["took"])
    other.columns["score"][2] = 7.0
    assert one.digest(["score"]) != other.digest(["score"])
    assert one.digest(["took"]) == other.digest(["took"])


@pytest.mark.parametrize("strategy", [Random(), Evolution(5, 2)], ids=lambda strategy: strategy.name)
def test_strategies_keep_their_contract_on_it(strategy, table):
    check_strategy(strategy, problem(table), TableEvaluator(table, {"accuracy": "gap"}))
