from __future__ import annotations

import inspect
import subprocess
import sys

import pytest
from torch import nn

from archwright.errors import GraphError
from archwright.graph import REQUIRED, OpSpec, get_op, ops, register_op
from archwright.graph.ops import complete, load_block, op_from_name, op_name


class Gate(nn.Module):
    """A gate of the user's."""

    def __init__(self, channels: int, strength: float = 1.0, *, mode: str) -> None:
        super().__init__()


class Whole(nn.Module):
    def __init__(self, in_shape: tuple[int, ...], factor: int) -> None:
        super().__init__()


class Bare(nn.Module):
    pass


def test_every_operation_has_a_block_a_doc_line_and_attributes_its_block_takes() -> None:
    for name, spec in ops().items():
        assert spec.doc.endswith("."), name
        block = load_block(spec.block)
        if isinstance(block, type):
            assert issubclass(block, nn.Module), name
            taken = list(inspect.signature(block).parameters.values())[spec.receives != "nothing" :]
            assert {
                parameter.name: REQUIRED if parameter.default is parameter.empty else parameter.default
                for parameter in taken
            } == spec.attributes


def test_the_package_does_not_import_torch() -> None:
    code = "import sys, archwright.graph.draw, archwright.graph.fingerprint, archwright.graph.source; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_unknown_operations_and_attributes_suggest_the_closest() -> None:
    with pytest.raises(GraphError, match="Did you mean 'sep_conv_bn'"):
        get_op("sepconv_bn")
    with pytest.raises(GraphError, match="Did you mean 'width'"):
        complete(get_op("linear"), {"widht": 3})
    with pytest.raises(GraphError, match="got no width"):
        complete(get_op("linear"), {})
    with pytest.raises(GraphError, match=r"expected the name of one or a subclass of torch\.nn\.Module"):
        get_op(int)


def test_a_users_class_is_an_operation() -> None:
    spec = get_op(Gate)
    assert (spec.name, spec.receives, spec.doc) == ("Gate", "channels", "A gate of the user's.")
    assert spec.attributes == {"strength": 1.0, "mode": REQUIRED}
    assert get_op(Whole).receives == "shape"
    assert get_op(Whole).attributes == {"factor": REQUIRED}
    assert get_op(Bare).receives == "nothing"


def test_a_name_is_registered_once() -> None:
    with pytest.raises(GraphError, match="expected a new name"):
        register_op(OpSpec("linear", Gate))
    with pytest.raises(GraphError, match="expected a new name"):
        register_op(OpSpec("identity", Gate))
    assert register_op(get_op("linear")) is get_op("linear")


def test_a_block_that_cannot_be_imported_is_named() -> None:
    with pytest.raises(GraphError, match=r"Cannot import the block 'nowhere\.at:All'"):
        load_block("nowhere.at:All")


def test_names_in_json_invert() -> None:
    assert op_from_name(op_name("mbconv")) == "mbconv"
    assert op_from_name(op_name(nn.Identity)) is nn.Identity
