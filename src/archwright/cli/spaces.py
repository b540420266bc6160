"""The command that lists spaces and their references."""

from __future__ import annotations

import json
from typing import Final

from rich.console import Console
from rich.table import Table

from archwright.errors import ArchitectureError, GraphError, SpaceError, closest
from archwright.problem import Signature
from archwright.space import Space, get_space, list_spaces

TYPICAL: Final = {
    "pictures of 3x32x32 in 10 classes": Signature(((3, 32, 32),), (10,)),
    "rows of 16 numbers in 2 classes": Signature(((16,),), (2,)),
    "texts of 64 symbols, 32 different ones": Signature(((64,),), (32,), (64,)),
}
"""What networks are sized for here, by its description; a space takes one of these."""


def spaces_table(name: str | None, console: Console) -> None:
    """The zoo, or one of its spaces with its references."""
    if name is None:
        table = _table("space", "references", "")
        for title, description in list_spaces().items():
            table.add_row(title, str(len(get_space(title).references)), description)
        console.print(table)
        return
    space = get_space(name)
    console.print(str(space), highlight=False, markup=False, soft_wrap=True)
    console.print(f"{space.size:,} architectures", highlight=False)
    if space.references:
        _references(space, console)


def print_reference(name: str, reference: str) -> None:
    """The choices of a reference as JSON, address to label.

    Raises:
        ArchitectureError: If the space has no such reference.
    """
    space = get_space(name)
    if reference not in space.references:
        raise ArchitectureError(
            f"The space {name!r} has no reference {reference!r}. {closest(reference, space.references)}"
        )
    print(json.dumps(dict(space.describe(space.references[reference])), indent=2))


def _references(space: Space, console: Console) -> None:
    what, signature = _typical(space)
    table = _table("reference", "parameters", "FLOPs", "choices")
    for title, architecture in space.references.items():
        cost = space.graph(architecture, signature).cost
        count = len(architecture.choices)
        table.add_row(title, f"{cost.params:,}", f"{cost.flops:,}", str(count))
    console.print(f"\nReferences, networks known to be good; sizes for {what}:", highlight=False)
    console.print(table)
    first = next(iter(space.references))
    console.print(
        f"Choices of one: archwright spaces {space.name} --reference {first}\n"
        f"Try it first:   archwright search DATA --space {space.name} --start {first}",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )


def _typical(space: Space) -> tuple[str, Signature]:
    """The first typical signature for which a reference of the space can be built."""
    architecture = next(iter(space.references.values()))
    for what, signature in TYPICAL.items():
        try:
            space.graph(architecture, signature)
        except GraphError:
            continue
        return what, signature
    raise SpaceError(f"The references of {space.name!r} fit none of: {'; '.join(TYPICAL)}.")


def _table(*columns: str) -> Table:
    table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    for column in columns:
        number = column in ("references", "parameters", "FLOPs", "choices")
        table.add_column(column, justify="right" if number else "left")
    return table
