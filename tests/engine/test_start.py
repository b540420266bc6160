"""What a user gives to start with is tried first, by any strategy, and refused if it cannot be."""

from __future__ import annotations

import json

import msgspec
import pytest

import archwright as aw
from archwright.errors import ArchitectureError, StrategyError
from archwright.problem import purpose
from archwright.space import OUTPUTS, Space, chain, choice, integer, op, repeat


@pytest.fixture
def wide():
    """Choices of a network with one wide layer."""
    return {"dense.times": "1", "dense.0.width": "32", "dense.0.activation": "tanh"}


@pytest.fixture
def space(wide):
    layer = op("dense", width=choice(4, 8, 16, 32), activation=choice("relu", "tanh"))
    body = chain(repeat(layer, integer(1, 4), name="dense"), op("linear", width=OUTPUTS))
    addresses = [info.address for info in Space(body, "small").choices()]
    assert set(wide) <= set(addresses), addresses
    return Space(body, "small", {"wide": wide})


def started(result):
    return [trial for trial in result.trials if trial.proposal.why.get("by") == "start"]


def names(result):
    return [trial.proposal.why["start"] for trial in started(result)]


@pytest.mark.parametrize(
    "strategy",
    [
        "auto",
        "halving",
        "hyperband",
        "evolution",
        "grid",
        "random",
        "local",
        "tournament",
        "nsga2",
        "progressive",
    ],
)
def test_starts_come_first_whatever_the_strategy(run, space, strategy, wide):
    others = [space.at(3), space.at(70)]
    result = run(start=[wide, *others], strategy=strategy, fidelity=aw.Fidelity(9))
    assert [trial.id for trial in started(result)] == [0, 1, 2]
    assert [trial.proposal.architecture for trial in started(result)] == [
        space.references["wide"],
        *others,
    ]
    assert all(purpose(trial) == "search" for trial in started(result))
    assert len(result.trials) > 3


def test_every_form_is_read(run, space, wide, tmp_path):
    architecture = space.references["wide"]
    forms = {
        "labels.json": wide,
        "indices.json": architecture.as_dict(),
        "ledger.json": msgspec.to_builtins(architecture),
        "pairs.json": msgspec.to_builtins(architecture.choices),
        "card.json": {
            "name": "digits",
            "architecture": {"space": "small", "choices": wide, "why": ""},
        },
    }
    for name, form in forms.items():
        (tmp_path / name).write_text(json.dumps(form))
    for start in (
        "wide",
        wide,
        architecture,
        *(tmp_path / name for name in forms),
        str(tmp_path / "card.json"),
    ):
        result = run(start=start, budget="2 trials")
        assert [trial.proposal.architecture for trial in started(result)] == [architecture]
    assert names(result) == [str(tmp_path / "card.json")]


def test_a_trial_of_a_run_is_read(run, space):
    first = run(budget="5 trials", name="first")
    result = run(start="first:3", budget="2 trials", strategy="random")
    assert result.trials[0].proposal.architecture == first.trials[3].proposal.architecture
    assert result.trials[0].proposal.why == {"by": "start", "start": "first:3"}


def test_equal_starts_are_one(run, wide, space):
    assert names(run(start=["wide", wide, space.references["wide"]])) == ["wide"]


def test_who_gave_a_start_is_told(run):
    result = run(start="wide", budget="1 trials")
    assert "given to start with: wide" in result[0].why()
    assert "It was given to start with." in result[0].why()


def test_progress_says_which_start_a_trial_is(run, capsys):
    run(start="wide", budget="2 trials", progress="plain", baseline=0.0)
    assert "(trial 0, start wide)" in capsys.readouterr().err


def test_a_start_is_trained_further_by_halving(run):
    result = run(start="wide", strategy="halving", fidelity=aw.Fidelity(9), budget="30 trials", baseline=0.0)
    first = result.trials[0]
    assert first.proposal.fidelity == aw.Fidelity(1)
    children = [trial for trial in result.trials if trial.proposal.parent == 0]
    assert any(child.proposal.architecture == first.proposal.architecture for child in children)


def test_a_killed_run_goes_on_with_the_starts_left(run, space, rate, tmp_path):
    wanted = [space.at(index) for index in (5, 90, 200, 310)]
    calls = []

    def dies(proposal, problem, seed):
        calls.append(proposal)
        if len(calls) == 3:
            raise KeyboardInterrupt
        yield from rate(proposal, problem, seed)

    cut = run(dies, start=wanted, budget="8 trials", name="cut")
    assert cut.interrupted
    assert len(started(cut)) < len(wanted)
    whole = aw.resume("cut", evaluator=rate, store=tmp_path / "runs", progress="none")
    assert [trial.proposal.architecture for trial in started(whole)] == wanted
    assert [trial.id for trial in started(whole)] == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("start", "message"),
    [
        ("wid", "no file, no reference of the space 'small' and no trial.*Did you mean 'wide'"),
        ("nothing:3", "The start 'nothing:3' is no file, and no trial of a run"),
        (
            {"dense.times": "1", "dense.0.widht": "8"},
            "1 of its 2 choices are unknown: dense.0.widht. Did you mean",
        ),
        (
            {"cell.edge0_1": "none"},
            "unknown: cell.edge0_1. Search the space that it is from, or give a reference of 'small': wide",
        ),
        ({"dense.times": "1", "dense.0.width": "32"}, "choice 'dense.0.activation' is missing"),
        ({"dense.times": "9"}, "got option '9' for 'dense.times'"),
        ([3], "Got the start 3; expected the name of a reference"),
        (aw.Architecture((("dense.times", 7),)), "got option 7"),
    ],
)
def test_what_is_not_of_the_space_is_refused(run, start, message, tmp_path):
    with pytest.raises(ArchitectureError, match=message):
        run(start=start)
    assert not any((tmp_path / "runs").glob("*/artifacts"))


@pytest.mark.parametrize("text", ["", "[1, 2]", '"dense"', '{"a": [1]}', "3"])
def test_a_file_that_holds_something_else_is_refused(run, tmp_path, text):
    path = tmp_path / "odd.json"
    path.write_text(text)
    with pytest.raises(ArchitectureError, match=r"odd\.json.*[eE]xpected a mapping"):
        run(start=path)


def test_a_missing_trial_is_refused(run):
    run(budget="3 trials", name="short")
    with pytest.raises(ArchitectureError, match="'short:99' does not exist: the run has 3 trials"):
        run(start="short:99")


def test_a_start_that_breaks_a_constraint_is_refused_with_numbers(run):
    with pytest.raises(ArchitectureError, match="wide has params 323; the constraint is params<=100"):
        run(start="wide", constraints="params<=100")


def test_a_start_that_fits_only_other_data_is_refused(run):
    convolution = Space(
        chain(
            op("conv_bn_relu", width=choice(4, 8)),
            op("global_avg_pool"),
            op("linear", width=OUTPUTS),
        )
    )
    with pytest.raises(ArchitectureError, match="cannot be used for these data"):
        run(space=convolution, start=convolution.at(0))


@pytest.mark.parametrize(
    "settings", [{"strategy": "darts"}, {"strategy": "evolution", "evaluator": "supernet:uniform"}]
)
def test_shared_weights_take_no_start(settings, tmp_path):
    with pytest.raises(StrategyError, match="with shared weights"):
        aw.search(
            "digits",
            start="ResNet",
            space="nas-bench-201",
            store=tmp_path,
            progress="none",
            **settings,
        )
