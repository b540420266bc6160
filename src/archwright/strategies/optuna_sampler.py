"""Every sampler of Optuna as a strategy."""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
import itertools
import json
import warnings
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from archwright.errors import StrategyError, closest
from archwright.problem import Architecture, ChoiceSpace, Problem, Proposal, Trial
from archwright.strategies.common import sample_feasible, score_of
from archwright.strategies.features import hashable

if TYPE_CHECKING:
    from optuna import Study
    from optuna.distributions import CategoricalDistribution, IntDistribution
    from optuna.samplers import BaseSampler
    from optuna.trial import FrozenTrial

    from archwright.strategies.optuna_storage import OneMore

TRIES = 20
"""Suggestions that may break the constraints, before a random draw."""
_REPEATED = "relative_params"
"""Part of the keys under which samplers store what a trial's parameters say anyway."""


class Told(msgspec.Struct, frozen=True):
    """A trial as Optuna is to see it.

    Attributes:
        trial: Its number.
        architecture: Its choices.
        state: ``running``, ``finished``, or ``failed``: without scores, or with broken constraints.
        scores: The objectives, more being better; empty unless it is finished.
        attributes: What the sampler noted about it, as JSON.
    """

    trial: int
    architecture: Architecture
    state: str = "running"
    scores: tuple[float, ...] = ()
    attributes: str = "{}"


class OptunaState(msgspec.Struct, frozen=True):
    """What Optuna's study would hold.

    Attributes:
        told: The trials, by number.
        study: What the sampler noted about the study: keys, and values as JSON.
    """

    told: tuple[Told, ...] = ()
    study: tuple[tuple[str, str], ...] = ()


@dataclasses.dataclass(frozen=True)
class OptunaSampler:
    """Any sampler of Optuna: TPESampler, GPSampler, NSGAIISampler, ... Akiba et al. 2019, arXiv 1907.10902.

    Each choice is a parameter: an integer where its options are ascending numbers, otherwise categorical; only active ones
    are suggested, in the order of the space. Several objectives make a multi-objective study. A suggestion that breaks a
    constraint known before training is drawn again, at most 20 times; a trial without scores, or with a broken constraint,
    is told as failed.

    Optuna's studies have a state; this one is rebuilt from what was told for each proposal, and the sampler is made anew
    with a seed drawn for that proposal, so that the strategy is as pure as any other. What samplers note about trials and
    studies goes through the proposals' reasons.

    Attributes:
        sampler: Name of a class in ``optuna.samplers`` that can be made without arguments.
    """

    sampler: str = "TPESampler"
    name = "optuna"

    def init(self, problem: Problem) -> OptunaState:
        """An empty study.

        Raises:
            StrategyError: Where Optuna is not installed, has no such sampler, or the space is not made of choices.
        """
        if not isinstance(problem.space, ChoiceSpace):
            raise StrategyError(
                f"The strategy 'optuna' needs a space made of choices, which {problem.space.name!r} is not: it has no "
                "'choices' and 'fill'. Use 'random' or 'evolution', which fit every space."
            )
        with _quiet():
            self._sampler(0, problem)
        return OptunaState()

    def tell(self, state: OptunaState, problem: Problem, trial: Trial) -> OptunaState:
        """Files the trial as it is now."""
        place = next((at for at in range(len(state.told) - 1, -1, -1) if state.told[at].trial <= trial.id), -1)
        known = state.told[place] if place >= 0 and state.told[place].trial == trial.id else None
        if known is not None and not trial.done:
            return state
        why = trial.proposal.why
        told = Told(trial.id, trial.proposal.architecture, attributes=_json(why.get("trial_attributes")))
        if trial.done:
            scores = _scores(problem, trial)
            if scores is None and known is not None and known.state == "finished":
                return state
            told = msgspec.structs.replace(told, state="finished" if scores else "failed", scores=scores or ())
        study = state.study
        if known is None and (noted := why.get("study_attributes")):
            study = tuple((dict(study) | {key: _json(value) for key, value in noted.items()}).items())
        after = place + 1
        before = after if known is None else place
        return OptunaState((*state.told[:before], told, *state.told[after:]), study)

    def ask(self, state: OptunaState, problem: Problem, rng: np.random.Generator) -> Proposal:
        """What the sampler suggests.

        Raises:
            StrategyError: Where the constraints exclude (nearly) all of the space.
        """
        from archwright.strategies.optuna_storage import OneMore

        space = problem.space
        assert isinstance(space, ChoiceSpace)
        parameters = _parameters(hashable(space))
        noted = known = {key: json.loads(value) for key, value in state.study}
        trials = [_frozen(hashable(space), told) for told in state.told]
        number = state.told[-1].trial + 1 if state.told else 0
        with _quiet():
            for _ in range(TRIES):
                storage = OneMore(trials, noted, len(problem.objectives), number)
                study = _study(storage, self._sampler(int(rng.integers(2**31)), problem))
                architecture = space.fill(_suggesting(study, parameters))
                if problem.feasible(architecture):
                    return Proposal(architecture, why=self._why(storage, known))
                noted = storage.attributes
        reason = f"{TRIES} suggestions broke the constraints"
        return Proposal(sample_feasible(problem, rng), why={"by": "random", "sampler": self.sampler, "reason": reason})

    def _why(self, storage: OneMore, known: dict[str, Any]) -> dict[str, Any]:
        """Who suggested it, and what it wants to remember that was not known."""
        why: dict[str, Any] = {"by": "optuna", "sampler": self.sampler}
        own = {key: value for key, value in storage.new.system_attrs.items() if _REPEATED not in key}
        changed = {key: value for key, value in storage.attributes.items() if known.get(key) != value}
        if own:
            why["trial_attributes"] = own
        if changed:
            why["study_attributes"] = changed
        return why

    def _sampler(self, seed: int, problem: Problem) -> BaseSampler:
        """The sampler, seeded.

        A quasi-random sequence has one seed all along; what it cannot draw is drawn with the seed given.
        """
        samplers = _samplers()
        kind = samplers.get(self.sampler)
        if kind is None:
            raise StrategyError(f"Got the sampler {self.sampler!r} for the strategy 'optuna'. {_near(self.sampler)}")
        takes = inspect.signature(kind).parameters
        options: dict[str, Any] = {"seed": problem.seed % 2**31 if self.sampler == "QMCSampler" else seed}
        if "independent_sampler" in takes:
            options["independent_sampler"] = samplers["RandomSampler"](seed=seed)
        if "constant_liar" in takes:
            options["constant_liar"] = True
        made: BaseSampler = kind(**options)
        return made


def _scores(problem: Problem, trial: Trial) -> tuple[float, ...] | None:
    """All objectives, more being better; ``None`` where one is missing or a constraint is broken."""
    first = score_of(problem, trial)
    return None if first is None else problem.scores(trial)


def _json(value: object) -> str:
    return json.dumps(value if value is not None else {}, sort_keys=True)


def _study(storage: OneMore, sampler: BaseSampler) -> Study:
    from optuna import Study
    from optuna.pruners import NopPruner

    return Study(study_name="archwright", storage=storage, sampler=sampler, pruner=NopPruner())


def _suggesting(
    study: Study, parameters: dict[str, CategoricalDistribution | IntDistribution]
) -> Callable[[str, int], int]:
    """Makes choices by asking the study for one trial."""
    from optuna.distributions import IntDistribution

    trial = study.ask()

    def pick(address: str, options: int) -> int:
        parameter = parameters[address]
        if isinstance(parameter, IntDistribution):
            return trial.suggest_int(address, parameter.low, parameter.high)
        chosen = trial.suggest_categorical(address, parameter.choices)
        assert isinstance(chosen, int)
        return chosen

    return pick


@lru_cache(maxsize=1)
def _samplers() -> dict[str, Any]:
    """The samplers that can be made with a seed and no other argument."""
    try:
        from optuna import samplers
    except ImportError as error:
        raise StrategyError(
            "The strategy 'optuna' needs Optuna, which is not installed: pip install 'archwright[bench]'."
        ) from error
    found = {}
    for name, kind in inspect.getmembers(samplers, inspect.isclass):
        if issubclass(kind, samplers.BaseSampler) and not inspect.isabstract(kind):
            parameters = inspect.signature(kind).parameters
            if "seed" in parameters and all(item.default is not item.empty for item in parameters.values()):
                found[name] = kind
    return found


def _near(name: str) -> str:
    return closest(name, _samplers())


@lru_cache(maxsize=8)
def _parameters(space: ChoiceSpace) -> dict[str, CategoricalDistribution | IntDistribution]:
    """The distribution of each choice over its options' indices."""
    from optuna.distributions import CategoricalDistribution, IntDistribution

    return {
        choice.address: IntDistribution(0, len(choice.labels) - 1)
        if _ascending(choice.labels)
        else CategoricalDistribution(tuple(range(len(choice.labels))))
        for choice in space.choices()
    }


def _ascending(labels: tuple[str, ...]) -> bool:
    """Whether options are numbers, each larger than the one before."""
    try:
        numbers = [float(label) for label in labels]
    except ValueError:
        return False
    return all(one < two for one, two in itertools.pairwise(numbers))


@lru_cache(maxsize=8192)
def _frozen(space: ChoiceSpace, told: Told) -> FrozenTrial:
    """A trial in Optuna's form, at no particular time."""
    from datetime import datetime

    from optuna.trial import FrozenTrial, TrialState

    states = {"running": TrialState.RUNNING, "finished": TrialState.COMPLETE, "failed": TrialState.FAIL}
    parameters, then = _parameters(hashable(space)), datetime(2000, 1, 1)
    return FrozenTrial(
        number=told.trial,
        state=states[told.state],
        value=None,
        values=list(told.scores) or None,
        datetime_start=then,
        datetime_complete=None if told.state == "running" else then,
        params=dict(told.architecture.choices),
        distributions={address: parameters[address] for address, _ in told.architecture.choices},
        user_attrs={},
        system_attrs=json.loads(told.attributes),
        intermediate_values={},
        trial_id=told.trial,
    )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silences Optuna, and only while it is at work here."""
    try:
        from optuna import logging
    except ImportError:
        yield
        return
    level = logging.get_verbosity()
    logging.set_verbosity(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.set_verbosity(level)
