from __future__ import annotations

import importlib
import inspect
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import EntryPoint, EntryPoints
from types import ModuleType

import pytest
from torch import nn

from archwright.errors import GraphError, SpaceError
from archwright.graph import REQUIRED, OpSpec, get_op, ops, register_op
from archwright.graph.ops import complete, load_block, op_from_name, op_name
from archwright.space import op as space_op

registry = importlib.import_module("archwright.graph.ops")


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
            named = {
                parameter.name: REQUIRED if parameter.default is parameter.empty else parameter.default
                for parameter in taken
                if parameter.kind is not parameter.VAR_KEYWORD
            }
            more = any(parameter.kind is parameter.VAR_KEYWORD for parameter in taken)
            assert named.items() <= spec.attributes.items() if more else named == spec.attributes


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


WAVE = OpSpec("wave", Gate, {"mode": "long"}, doc="A wave.")


def ripple() -> OpSpec:
    return OpSpec("ripple", Bare, receives="nothing", doc="A ripple.")


def broken() -> OpSpec:
    raise RuntimeError("no water")


def nothing() -> None:
    pass


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Makes entry points ``name=object`` of this file appear as installed."""
    here = ModuleType("packaged_ops")
    here.__dict__.update(WAVE=WAVE, ripple=ripple, broken=broken, nothing=nothing)
    monkeypatch.setitem(sys.modules, "packaged_ops", here)
    monkeypatch.setattr(registry, "_REGISTRY", ops())

    def appear(**points: str) -> None:
        found = EntryPoints(EntryPoint(name, value, "archwright.ops") for name, value in points.items())
        monkeypatch.setattr(registry, "entry_points", lambda group: found.select(group=group))

    return appear


def test_packages_bring_their_own(install: Callable[..., None]) -> None:
    install(wave="packaged_ops:WAVE", ripple="packaged_ops:ripple", linear="packaged_ops:broken")
    with pytest.raises(GraphError, match="Did you mean 'wave'"):
        get_op("wavee")
    assert get_op("wave") is WAVE
    assert get_op("ripple").block is Bare
    assert ops()["ripple"] is get_op("ripple")
    assert get_op("linear").block != Gate
    assert space_op("wave", mode="short").attributes == (("mode", "short"),)
    with pytest.raises(SpaceError, match=r"has no attribute 'mod'. Did you mean 'mode'"):
        space_op("wave", mod="short")
    with pytest.raises(SpaceError, match=r"unknown operation 'rippel'. Did you mean 'ripple'"):
        space_op("rippel")


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("nowhere_at_all:WAVE", "cannot be loaded: ModuleNotFoundError"),
        ("packaged_ops:GONE", "cannot be loaded: AttributeError"),
        ("packaged_ops:broken", "cannot be loaded: RuntimeError: no water"),
        ("packaged_ops:nothing", "got None; expected an OpSpec named 'tide'"),
        ("packaged_ops:WAVE", "got an OpSpec named 'wave'; expected an OpSpec named 'tide'"),
    ],
)
def test_what_a_package_cannot_bring_is_named(install: Callable[..., None], value: str, said: str) -> None:
    install(tide=value)
    named = f"The operation 'tide' of the entry point '{value}'.*{said}"
    with pytest.raises(GraphError, match=named):
        get_op("tide")
    with pytest.raises(GraphError, match=named):
        ops()
    with pytest.raises(SpaceError, match=named):
        space_op("tide")
    assert get_op("linear").name == "linear"
