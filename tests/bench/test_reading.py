from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from archwright.bench import read_table
from archwright.errors import DataError
from archwright.problem import Architecture, Cost, Signature
from archwright.space import Space, chain, choice, integer, op, repeat
from archwright.space.expression import OUTPUTS

FRAME = pd.DataFrame(
    {
        "kernel": [3, 5, 3, 5],
        "activation": ["relu", "relu", "silu", "silu"],
        "dilation": [1, 1, 1, 1],
        "acc": [90.0, 91.0, 92.0, np.nan],
        "hours": [1, 2, 3, 4],
        "params": [10, 20, 30, 40],
        "twin": ["x", "y", "x", "z"],
    }
)


def write(frame, path):
    {"csv": frame.to_csv, "parquet": frame.to_parquet}[path.suffix[1:]](path, index=False)
    return path


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_file_of_choices_and_results(tmp_path, ending):
    table = read_table(
        write(FRAME, tmp_path / f"mine.{ending}"),
        choices=["kernel", "activation", "dilation"],
        percent=["acc"],
        fingerprint="twin",
    )
    assert [pick.address for pick in table.space.choices()] == ["kernel", "activation"]
    assert dict(table.space.describe(table.space.architecture({"kernel": "5", "activation": "silu"})))["kernel"] == "5"
    row = table.space.row(table.space.architecture({"kernel": "3", "activation": "silu"}))
    assert row == 2
    assert table.column("acc")[:3].tolist() == [0.90, 0.91, 0.92]
    assert np.isnan(table.column("acc")[3])
    assert table.space.rows[2].cost == Cost(30, 0, 0)
    assert table.space.classes.tolist() == [0, 1, 0, 2]


def test_arrays_of_two_dimensions_are_columns(tmp_path):
    np.savez(tmp_path / "cells.npz", ops=np.array([[0, 2], [1, 2], [0, 3]]), score=np.array([1.0, 2.0, 3.0]))
    table = read_table(tmp_path / "cells.npz", choices={"ops0": [0, 1], "ops1": [1, 2, 3]})
    assert (table.space.size, len(table)) == (6, 3)
    assert table.column("score").tolist() == [1.0, 2.0, 3.0]
    assert list(table.space.index)[2] == (("ops0", 0), ("ops1", 2))


def test_rows_of_a_space_by_labels_with_choices_that_are_not_active(tmp_path):
    body = repeat(op("dense", width=choice(8, 16)), integer(1, 2), name="layers")
    space = Space(chain(body, op("linear", width=OUTPUTS)), "tiny")
    addresses = [pick.address for pick in space.choices()]
    rows = [dict(zip(addresses, row)) for row in (("1", "8", None), ("2", "8", "16"), ("2", "16", "16"))]
    file = write(pd.DataFrame(rows).assign(acc=[0.1, 0.2, 0.3]), tmp_path / "deep.csv")
    table = read_table(file, space=space, signature=Signature(((4,),), (2,)))
    assert [len(choices) for choices in table.space.index] == [2, 3, 3]
    first = Architecture(next(iter(table.space.index)))
    graph = space.graph(first, Signature(((4,),), (2,)))
    assert (table.space.rows[0].fingerprint, table.space.rows[0].cost) == (graph.fingerprint, graph.cost)


@pytest.mark.parametrize(
    ("change", "arguments", "message"),
    [
        (lambda frame: frame, {}, "neither; expected either"),
        (lambda frame: frame, {"choices": ["kernal"]}, "no column 'kernal'"),
        (lambda frame: frame, {"choices": {"kernel": [3, 7], "activation": ["relu", "silu"]}}, "has '5' in 'kernel'"),
        (lambda frame: frame, {"choices": ["kernel", "activation"], "percent": ["accuracy"]}, "no column 'accuracy'"),
        (lambda frame: frame, {"choices": ["kernel", "activation"], "fingerprint": "hash"}, "no column 'hash'"),
        (lambda frame: frame, {"choices": ["kernel"]}, "expected each once"),
    ],
    ids=["nothing", "column", "option", "percent", "fingerprint", "twice"],
)
def test_what_is_wrong_is_said(tmp_path, change, arguments, message):
    file = write(change(FRAME), tmp_path / "mine.csv")
    with pytest.raises(DataError, match=message):
        read_table(file, **arguments)


def test_files_that_are_no_tables(tmp_path):
    (tmp_path / "table.npz").write_text("no")
    with pytest.raises(DataError, match="Could not read"):
        read_table(tmp_path / "table.npz", choices=["a"])
    with pytest.raises(DataError, match="expected a file that ends in"):
        read_table(tmp_path / "table.xlsx", choices=["a"])
    np.savez(tmp_path / "uneven.npz", a=np.zeros(3), b=np.zeros(4))
    with pytest.raises(DataError, match="different lengths: a 3, b 4"):
        read_table(tmp_path / "uneven.npz", choices=["a"])
    with pytest.raises(DataError, match="Could not read"):
        read_table(tmp_path / "absent.csv", choices=["a"])
