"""JSON of spaces: users' classes by name, and clear errors for anything else."""

from __future__ import annotations

import json
from typing import Any

import pytest
from torch import Tensor, nn

from archwright.errors import SpaceError
from archwright.space import DOWN, OUTPUTS, Space, chain, choice, get_space, list_spaces, op, take


def space_of_class(cls: type) -> Space:
    return Space(
        chain(
            op(cls, kernel=(3, 1), stride=DOWN),
            op("max_pool", kernel=DOWN[3], stride=DOWN[3]),
            take(0),
            op("linear", width=OUTPUTS[1]),
        )
    )


def test_users_classes_are_written_by_name() -> None:
    space = Space(chain(op(nn.BatchNorm1d, momentum=choice(0.1, None)), op("linear", width=OUTPUTS[1])))
    assert '"op": "torch.nn.modules.batchnorm:BatchNorm1d"' in space.to_json()
    assert Space.from_json(space.to_json()) == space


def test_classes_inside_functions_cannot_be_found_again() -> None:
    class Local(nn.Module):
        def __init__(self, channels: int, kernel: Any = 3, stride: int = 1) -> None:
            super().__init__()

        def forward(self, x: Tensor) -> Tensor:
            return x

    with pytest.raises(SpaceError, match=r"Local was made inside a function.*top level"):
        space_of_class(Local).to_json()


@pytest.mark.parametrize("name", list_spaces())
def test_zoo_spaces_survive_json(name: str) -> None:
    space = get_space(name)
    again = Space.from_json(space.to_json())
    assert again == space
    assert again.choices() == space.choices()


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '{"space": "a"}',
        '{"space": "a", "expression": {"loop": 3}}',
        '{"space": "a", "expression": {"op": "no_such.module:Class", "attributes": {}}}',
        '{"space": "a", "expression": {"dag": {"nodes": 2}}}',
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(SpaceError, match="Cannot read a space from JSON"):
        Space.from_json(text)


def test_what_is_read_is_checked() -> None:
    record = json.loads(Space(op("linear", width=choice(1, 2))).to_json())
    record["expression"]["attributes"] = {"widht": 3}
    with pytest.raises(SpaceError, match="Did you mean 'width'"):
        Space.from_json(json.dumps(record))
