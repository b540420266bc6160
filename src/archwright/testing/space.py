"""The contract of spaces. Extensions call :func:`check_space` in a test of their own."""

from __future__ import annotations

import base64
import json
import os
import pickle
import subprocess
import sys
from collections.abc import Iterable
from itertools import islice

import numpy as np

from archwright.graph import Graph
from archwright.problem import Architecture, Signature, Space

_NEIGHBOURS = 12
_BATCH = 2


def check_space(
    space: Space,
    signature: Signature,
    seeds: Iterable[int] = range(6),
    *,
    networks: int = 2,
    other_process: bool = True,
) -> None:
    """Checks what every space promises.

    Samples, mutations, crossovers and neighbours are valid, shape-correct and determined by the seed; a mutation
    differs from its parent; encode and decode invert; ids and fingerprints are the same in another process with
    another hash seed; networks run forward and backward.

    Args:
        space: What is checked.
        signature: Inputs and outputs its networks shall have.
        seeds: One architecture is drawn, varied and built for each.
        networks: How many of them are run forward and backward.
        other_process: Whether to compare with another process, which takes some seconds.

    Raises:
        AssertionError: Where a promise is broken; the message says which, and for which architecture.
    """
    assert isinstance(space, Space), f"{space!r} lacks a method of archwright.problem.Space"
    drawn = [_check_seed(space, signature, seed) for seed in seeds]
    assert len(set(drawn)) > 1 or space.size < 4 or len(drawn) < 4, "all samples are equal"
    for architecture in drawn[:networks]:
        _check_runs(space, signature, architecture)
    _check_pickle(space, drawn)
    if other_process:
        here = [identity(space, signature, architecture) for architecture in drawn]
        there = identities_elsewhere(space, signature, drawn)
        assert here == there, f"ids or fingerprints differ in another process: {here} and {there}"


def identity(space: Space, signature: Signature, architecture: Architecture) -> tuple[str, str]:
    """The id and the fingerprint of an architecture."""
    return architecture.id, space.graph(architecture, signature).fingerprint


def identities_elsewhere(
    space: Space, signature: Signature, architectures: Iterable[Architecture]
) -> list[tuple[str, str]]:
    """The same as :func:`identity`, computed in a new process with another hash seed."""
    program = (
        "import base64, json, pickle, sys; from archwright.testing.space import identity;"
        "space, signature, drawn = pickle.loads(base64.b64decode(sys.stdin.read()));"
        "print(json.dumps([identity(space, signature, architecture) for architecture in drawn]))"
    )
    given = base64.b64encode(pickle.dumps((space, signature, list(architectures)))).decode()
    environment = {**os.environ, "PYTHONHASHSEED": "4711", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        [sys.executable, "-c", program], input=given, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"the other process failed: {done.stderr}"
    return [(name, fingerprint) for name, fingerprint in json.loads(done.stdout.splitlines()[-1])]


def _check_seed(space: Space, signature: Signature, seed: int) -> Architecture:
    """Draws and varies one architecture."""
    rng = np.random.default_rng(seed)
    architecture, second = space.sample(rng), space.sample(rng)
    assert architecture == space.sample(np.random.default_rng(seed)), f"seed {seed} draws different architectures"
    family = [architecture, second, space.crossover(architecture, second, rng)]
    assert space.crossover(architecture, architecture, rng) == architecture, (
        f"{architecture} crossed with itself is another"
    )
    if space.size > 1:
        mutant = space.mutate(architecture, rng)
        assert mutant != architecture, f"a mutation of {architecture} changed nothing"
        family.append(mutant)
    near = list(islice(space.neighbours(architecture), _NEIGHBOURS))
    assert len(set(near)) == len(near), f"a neighbour of {architecture} comes twice"
    assert architecture not in near, f"{architecture} is its own neighbour"
    assert near or space.size == 1, f"{architecture} has no neighbours"
    for member in [*family, *near]:
        _check_member(space, member)
    for member in [*family, *near[:2]]:
        _check_graph(space, signature, member)
    return architecture


def _check_member(space: Space, architecture: Architecture) -> None:
    space.validate(architecture)
    addresses = [address for address, _ in architecture.choices]
    assert len(set(addresses)) == len(addresses), f"{architecture} decides an address twice"
    described = space.describe(architecture)
    assert [address for address, _ in described] == addresses, f"describe() does not tell the choices of {architecture}"
    vector = space.encode(architecture)
    assert vector.ndim == 1, f"encode() gives the shape {vector.shape}, expected a vector"
    assert np.isfinite(vector).all(), f"the encoding of {architecture} is not finite"
    decode = getattr(space, "decode", None)
    if decode is not None:
        assert decode(vector) == architecture, f"decode(encode(...)) of {architecture} is another"


def _check_graph(space: Space, signature: Signature, architecture: Architecture) -> None:
    graph = space.graph(architecture, signature)
    assert isinstance(graph, Graph)
    shapes = [graph.nodes[output].shape for output in graph.outputs]
    assert [shape[0] for shape in shapes] == list(signature.outputs), (
        f"{architecture} has outputs of shapes {shapes}, expected {signature.outputs} units"
    )
    assert graph.cost.params > 0, f"{architecture} has nothing to train"
    again = space.graph(architecture, signature)
    assert again == graph, f"{architecture} gives another graph the second time"
    assert again.fingerprint == graph.fingerprint


def _check_runs(space: Space, signature: Signature, architecture: Architecture) -> None:
    """One step forward and backward."""
    import torch

    from archwright.graph.module import build

    graph = space.graph(architecture, signature)
    assert isinstance(graph, Graph)
    network = build(graph, 0)
    network.train()
    generator = torch.Generator().manual_seed(0)
    inputs = [torch.randn(_BATCH, *shape, generator=generator) for shape in signature.inputs]
    if signature.positions:  # numbers of symbols
        inputs = [torch.randint_like(x, min(signature.outputs), generator=generator) for x in inputs]
    outputs = network(*inputs)
    outputs = outputs if isinstance(outputs, tuple | list) else (outputs,)
    shapes = [tuple(output.shape) if signature.positions else tuple(output.shape[:2]) for output in outputs]
    assert shapes == [(_BATCH, units, *signature.positions) for units in signature.outputs], (
        f"{architecture} computes outputs of shapes {shapes}"
    )
    sum(output.square().mean() for output in outputs).backward()
    gradients = [parameter.grad for parameter in network.parameters() if parameter.grad is not None]
    assert gradients, f"{architecture} has no gradients"
    assert all(bool(torch.isfinite(gradient).all()) for gradient in gradients), (
        f"{architecture} has gradients that are not finite"
    )


def _check_pickle(space: Space, architectures: list[Architecture]) -> None:
    copy: Space = pickle.loads(pickle.dumps(space))
    assert copy.size == space.size, "a pickled copy has another size"
    for architecture in architectures:
        copy.validate(architecture)
