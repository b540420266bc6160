"""A storage for Optuna's studies that holds finished and running trials, and lends one more to a sampler.

Optuna's own storages copy each trial when it is added. A study that is made anew for each proposal needs none of that: its
trials are given, read only, and the one trial that a sampler fills is thrown away with the storage.
"""

from __future__ import annotations

import copy
from collections.abc import Container, Mapping, Sequence
from typing import Any, NoReturn

from optuna.distributions import BaseDistribution
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

NAME = "archwright"


class OneMore(BaseStorage):
    """One study of given trials, and one trial to fill.

    Args:
        trials: What is known, by number.
        attributes: What samplers noted about the study.
        objectives: How many; all are maximised.
        number: Number of the trial to fill.
    """

    def __init__(
        self, trials: Sequence[FrozenTrial], attributes: Mapping[str, Any], objectives: int, number: int
    ) -> None:
        self.attributes: dict[str, Any] = dict(attributes)
        self.new = FrozenTrial(
            number=number,
            state=TrialState.RUNNING,
            value=None,
            datetime_start=None,
            datetime_complete=None,
            params={},
            distributions={},
            user_attrs={},
            system_attrs={},
            intermediate_values={},
            trial_id=number,
        )
        self._trials = [*trials, self.new]
        self._by_number = {trial.number: trial for trial in self._trials}
        self._directions = [StudyDirection.MAXIMIZE] * objectives

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        """The number of the trial to fill."""
        return self.new.number

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        """All trials, the one to fill included."""
        found = [trial for trial in self._trials if states is None or trial.state in states]
        return copy.deepcopy(found) if deepcopy else found

    def get_trial(self, trial_id: int) -> FrozenTrial:
        """One trial."""
        return self._by_number[trial_id]

    def set_trial_param(
        self, trial_id: int, param_name: str, param_value_internal: float, distribution: BaseDistribution
    ) -> None:
        """Fills one choice."""
        self._fill(trial_id).distributions[param_name] = distribution
        self.new.params[param_name] = distribution.to_external_repr(param_value_internal)

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Notes something about the trial to fill."""
        self._fill(trial_id).system_attrs[key] = value

    def set_trial_user_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Notes something about the trial to fill."""
        self._fill(trial_id).user_attrs[key] = value

    def _fill(self, trial_id: int) -> FrozenTrial:
        if trial_id != self.new.number:
            raise KeyError(f"Trial {trial_id} is read only; expected {self.new.number}, the one to fill.")
        return self.new

    def set_study_system_attr(self, study_id: int, key: str, value: Any) -> None:
        """Notes something about the study."""
        self.attributes[key] = value

    def get_study_system_attrs(self, study_id: int) -> dict[str, Any]:
        """What samplers noted about the study."""
        return self.attributes

    def get_study_user_attrs(self, study_id: int) -> dict[str, Any]:
        """Nothing."""
        return {}

    def get_study_id_from_name(self, study_name: str) -> int:
        """The only study."""
        return 0

    def get_study_name_from_id(self, study_id: int) -> str:
        """Its name."""
        return NAME

    def get_study_directions(self, study_id: int) -> list[StudyDirection]:
        """All objectives are maximised."""
        return self._directions

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        raise NotImplementedError("This storage serves one proposal; nothing is created in it, deleted or finished.")

    create_new_study = delete_study = get_all_studies = _refuse
    set_study_user_attr = set_trial_intermediate_value = set_trial_state_values = _refuse
