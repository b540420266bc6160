"""Spaces as people read them."""

from __future__ import annotations

import pytest

import archwright.space as space_package
from archwright.space import OUTPUTS, Space, chain, choice, get_space, integer, list_spaces, op, repeat, shared


def test_it_reads_like_what_was_written() -> None:
    layer = shared("my-layer", op("dense", width=choice(8, 16)))
    written = chain(repeat(layer, integer(1, 3, name="depth"), name="body"), op("linear", width=OUTPUTS, name="head"))
    assert str(written) == (
        'my_layer = shared("my-layer", op("dense", width=choice(8, 16)))\n'
        'space = chain(repeat(my_layer, integer(1, 3, name="depth"), name="body"), '
        'op("linear", width=OUTPUTS, name="head"))'
    )


def test_names_that_clash_or_are_no_names_are_changed() -> None:
    body = choice(op("relu"), op("tanh"))
    text = str(
        chain(shared("a.b", body), shared("a-b", body), shared("op", body), shared("for", body), shared("2", body))
    )
    assert [line.split(" = ")[0] for line in text.splitlines()] == ["a_b", "_a_b", "_op", "_for", "_2", "space"]
    compile(text, "space", "exec")


@pytest.mark.parametrize("name", list(list_spaces()))
def test_zoo_spaces_read_as_python(name: str) -> None:
    made = get_space(name)
    scope = {key: getattr(space_package, key) for key in space_package.__all__}
    exec(str(made), scope)
    assert scope["space"] == made.expression
    assert str(made).splitlines()[0] == f"# {name}: {made.size:,} architectures, {len(made.choices())} choices"
    assert isinstance(scope["Space"], type)
    assert Space(scope["space"], name) == made
    assert max(map(len, str(made).splitlines())) <= 140
