from __future__ import annotations

import inspect
import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

import archwright as aw
from archwright.engine import session
from archwright.engine.ranking import incumbent, pareto
from archwright.errors import ArchwrightError, BudgetError, LedgerError, StrategyError
from archwright.evaluators.train import Train
from archwright.ledger.session import Session
from archwright.problem import FINAL, purpose
from archwright.strategies import Random, get_strategy, list_strategies


def record(result):
    """The ledger of a run, times aside."""
    return [(event.kind, event.trial, _timeless(event.payload)) for event in result.run.events()]


def _timeless(payload):
    if hasattr(payload, "seconds"):
        import msgspec

        payload = msgspec.structs.replace(payload, seconds=0.0)
    return payload


def test_a_trial_budget_is_kept_exactly(run):
    calls = []

    def evaluator(proposal, problem, seed):
        calls.append(proposal.architecture)
        return 1.0

    result = run(evaluator, budget="15 trials")
    assert len(calls) == 15
    assert result.ended == "all 15 trials are done"


def test_an_epoch_budget_is_kept(run):
    result = run(budget="12 epochs", fidelity=aw.Fidelity(3))
    spent = sum(
        (trial.proposal.fidelity or result.settings.fidelity).cost
        for trial in result.trials
        if trial.status == "finished"
    )
    assert 12 <= spent < 12 + 3


def test_equal_functions_are_evaluated_once(run):
    calls = []

    def evaluator(proposal, problem, seed):
        calls.append((problem.graph(proposal.architecture).fingerprint, proposal.fidelity))
        return 1.0

    result = run(evaluator, budget="200 trials")
    assert len(calls) == len(set(calls))
    reused = [trial for trial in result.trials if trial.status == "duplicate"]
    assert reused
    for trial in reused:
        other = result.trials[trial.duplicate_of]
        assert trial.fingerprint == other.fingerprint
        assert trial.measurements == other.measurements


def test_an_exhausted_space_ends_the_search(run):
    from archwright.space import OUTPUTS, chain, choice, op

    tiny = aw.Space(chain(op("dense", width=choice(2, 3)), op("linear", width=OUTPUTS)), "tiny")
    result = run(space=tiny, budget="1000 trials", strategy="random")
    assert "known already" in result.ended
    assert sum(trial.status == "finished" for trial in result.trials) == 2


def test_the_random_baseline_gets_its_share(run):
    result = run(budget="60 trials", baseline=0.2)
    drawn = [trial for trial in result.trials if purpose(trial) == "baseline"]
    assert 10 <= sum(trial.status == "finished" for trial in drawn) <= 14
    assert all(trial.proposal.parent is None for trial in drawn)
    assert not any(purpose(trial) == "baseline" for trial in run(budget="30 trials", baseline=0.0).trials)


class Brief(Random):
    """Trains all for two epochs, and knows so only after its third trial."""

    def tell(self, state, problem, trial):
        return (max((trial.id, *state)),)

    def ask(self, state, problem, rng):
        return aw.Proposal(problem.space.sample(rng), aw.Fidelity(2))

    def highest(self, state, problem):
        return aw.Fidelity(2) if state and state[0] >= 3 else None


def test_the_control_is_trained_like_what_the_answer_is_chosen_from(run, monkeypatch):
    monkeypatch.setattr(session, "get_strategy", lambda name, **options: Brief())
    drawn = [trial for trial in run(fidelity=aw.Fidelity(9)).trials if purpose(trial) == "baseline"]
    assert {trial.proposal.fidelity for trial in drawn} == {aw.Fidelity(2)}
    assert drawn[0].id > 3


def test_failures_are_recorded_and_the_search_goes_on(run):
    def evaluator(proposal, problem, seed):
        if len(proposal.architecture.choices) > 5:
            raise ValueError("too deep for me")
        return 1.0

    result = run(evaluator, budget="30 trials")
    failed = [trial for trial in result.trials if trial.status == "failed"]
    assert failed
    assert all("too deep for me" in trial.reason for trial in failed)
    assert len(result.best.architecture.choices) <= 5


def test_a_search_in_which_everything_fails_gives_up_and_says_why(run):
    def evaluator(proposal, problem, seed):
        raise OSError("the camera is off")

    result = run(evaluator, budget="1000 trials")
    assert "the camera is off" in result.ended
    assert len(result.trials) < 60


def test_a_final_measurement_without_the_objective_fails_the_trial(run):
    result = run(lambda proposal, problem, seed: {"speed": 3.0}, budget="3 trials")
    assert {trial.status for trial in result.trials} == {"failed"}
    assert "score" in result.trials[0].reason
    with pytest.raises(ArchwrightError, match="no finished trial"):
        _ = result.best


def test_nan_scores_are_never_chosen(run):
    def evaluator(proposal, problem, seed):
        return float("nan") if len(proposal.architecture.choices) > 5 else 1.0

    result = run(evaluator, budget="20 trials")
    assert result.best.metrics["score"] == 1.0


def test_constraints_hold_for_every_trial(run, space):
    result = run(constraints=["params<=600"], budget="30 trials")
    assert all(result.problem.graph(trial.proposal.architecture).cost.params <= 600 for trial in result.trials)
    with pytest.raises(StrategyError, match="params"):
        run(constraints=["params<=1"])


def test_the_users_function_is_at_most_four_frames_below_search(run):
    depths = []

    def evaluator(proposal, problem, seed):
        stack = [frame.function for frame in inspect.stack()]
        depths.append(stack.index("search"))
        return 1.0

    run(evaluator, budget="3 trials")
    assert max(depths) - 1 <= 4


def test_ctrl_c_keeps_the_best_so_far_and_resume_goes_on(run, tmp_path, rate):
    calls = []

    def evaluator(proposal, problem, seed):
        calls.append(1)
        if len(calls) == 8:
            raise KeyboardInterrupt
        yield from rate(proposal, problem, seed)

    result = run(evaluator, name="evening")
    assert result.interrupted
    assert result.ended is None
    assert sum(trial.status == "finished" for trial in result.trials) == 7
    assert result.best.metrics["score"] > 0
    resumed = aw.resume("evening", evaluator=rate, store=tmp_path / "runs", progress="none")
    assert record(resumed) == record(run(rate, name="other", store=tmp_path / "other"))


SAMPLED = ("random", "evolution", "halving", "auto")
DERIVED = {name for name in list_strategies() if hasattr(get_strategy(name), "picker")}


@pytest.mark.parametrize(
    "strategy",
    [
        *SAMPLED,
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in list_strategies()
            if name not in SAMPLED and name not in DERIVED
        ),
    ],
)
def test_killed_after_any_event_and_resumed_the_ledger_is_the_same(run, tmp_path, monkeypatch, rate, strategy):
    class Killed(BaseException):
        pass

    settings = {"strategy": strategy, "fidelity": aw.Fidelity(9), "budget": "18 trials"}
    whole = record(run(name="whole", **settings))
    append = Session.append
    for survived in range(0, len(whole), 7):
        written = []

        def dying(self, *event, survived=survived, written=written):
            if len(written) == survived:
                raise Killed
            written.append(event)
            return append(self, *event)

        monkeypatch.setattr(Session, "append", dying)
        name = f"{strategy}-{survived}"
        with pytest.raises(Killed):
            run(name=name, **settings)
        monkeypatch.setattr(Session, "append", append)
        assert record(aw.resume(name, evaluator=rate, store=tmp_path / "runs", progress="none")) == whole


def test_more_budget_goes_on_where_the_run_ended(run, tmp_path, rate):

    run(name="evening", budget="10 trials")
    more = aw.resume("evening", budget="25 trials", evaluator=rate, store=tmp_path / "runs", progress="none")
    once = run(name="once", budget="25 trials")
    assert trials_of(more) == trials_of(once)
    assert aw.open_run("evening", store=tmp_path / "runs").settings.budget == aw.Budget(trials=25)


def test_a_time_budget_may_be_replaced_and_come_back(tmp_path):
    settings = {"store": tmp_path, "name": "run", "progress": "none"}
    aw.search("wine", budget="8s", workers=1, **settings)
    aw.resume("run", budget="1 trials", store=tmp_path, progress="none")
    again = aw.resume("run", budget="10s", store=tmp_path, progress="none")
    assert again.ended is not None


def trials_of(result):
    return [event for event in record(result) if event[1] is not None]


def test_a_time_budget_is_kept(run):
    def evaluator(proposal, problem, seed):
        for step in range(100):
            time.sleep(0.02)
            yield {"score": float(step)}

    begun = time.monotonic()
    result = run(evaluator, budget="1s", strategy="random")
    assert time.monotonic() - begun < 1.8
    assert result.trials[-1].status == "stopped"


def test_same_seed_same_search_across_hash_seeds(tmp_path):
    script = tmp_path / "go.py"
    script.write_text(
        textwrap.dedent(
            """
            import sys
            import archwright as aw
            from archwright.space import OUTPUTS, chain, choice, integer, op, repeat

            space = aw.Space(chain(repeat(op("dense", width=choice(4, 8, 16)), integer(1, 4)), op("linear", width=OUTPUTS)), "small")
            result = aw.search(space=space, evaluator=lambda p, q, s: float(len(p.architecture.choices) + s % 7), budget="25 trials",
                               strategy="evolution", seed=int(sys.argv[1]), store=sys.argv[2], progress="none",
                               signature=aw.Signature(((6,),), (3,)))
            for trial in result.trials:
                print(trial.proposal.architecture.id, trial.fingerprint, trial.proposal.why, trial.value("score"))
            """
        )
    )

    def printed(seed, hash_seed):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "OMP_NUM_THREADS": "1"}
        folder = tmp_path / f"runs-{seed}-{hash_seed}"
        return subprocess.run(
            [sys.executable, script, seed, folder], env=environment, capture_output=True, text=True, check=True
        ).stdout

    first = printed("0", "1")
    assert first.count("\n") >= 25
    assert printed("0", "2") == first
    assert printed("1", "1") != first


def test_several_objectives_give_a_front(run):
    def evaluator(proposal, problem, seed):
        cost = problem.graph(proposal.architecture).cost
        return {"score": float(len(proposal.architecture.choices)), "params": float(cost.params)}

    result = run(evaluator, budget="40 trials", objectives=["score", "min:params"])
    front = [(candidate.metrics["score"], candidate.metrics["params"]) for candidate in result.front]
    assert front == sorted(front, reverse=True)
    assert len({score for score, _ in front}) == len(front) > 1


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"budget": "soon"}, BudgetError, "expected a duration"),
        ({"budget": "0 trials"}, BudgetError, "above zero"),
        ({"strategy": "evolutoin"}, StrategyError, "evolution"),
        ({"constraints": "params<200k<"}, BudgetError, "constraint"),
        ({"baseline": 1.5}, BudgetError, "baseline"),
        ({"workers": 0}, BudgetError, "workers"),
        ({"progress": "loud"}, BudgetError, "progress"),
        ({"name": "a/b"}, LedgerError, "name"),
    ],
)
def test_bad_settings_fail_before_anything_runs(run, tmp_path, settings, error, message):
    def evaluator(proposal, problem, seed):
        raise AssertionError("it must not run")

    with pytest.raises(error, match=message):
        run(evaluator, **settings)


def test_ranking_prefers_fidelity_then_score_then_size(run):
    result = run(budget="30 trials", strategy="halving", fidelity=aw.Fidelity(9))
    best = incumbent(result.problem, result.trials)
    assert best is not None
    assert best.proposal.fidelity == aw.Fidelity(9)
    assert pareto(result.problem, result.trials)[0].value("score") == best.value("score")


def test_a_run_in_use_is_refused(run, tmp_path):
    def evaluator(proposal, problem, seed):
        with pytest.raises(LedgerError, match="process"):
            aw.resume("busy", evaluator=evaluator, store=tmp_path / "runs", progress="none")
        return 1.0

    assert run(evaluator, name="busy", budget="1 trials").trials[0].status == "finished"


def test_unknown_runs_and_stores_are_named(tmp_path):
    with pytest.raises(LedgerError, match="no store"):
        aw.open_run("evening", store=tmp_path / "nowhere")
    assert not Path(tmp_path / "nowhere").exists()


def test_a_final_training_that_is_stopped_just_after_its_end_is_not_lost(tmp_path, monkeypatch):
    train = Train._train

    def late(self, proposal, problem, seed):
        measured = list(train(self, proposal, problem, seed))
        if proposal.why.get("by") == FINAL:
            time.sleep(6.0)
            measured = measured[-1:]
        yield from measured

    monkeypatch.setattr(Train, "_train", late)
    result = aw.search("wine", budget="6s", baseline=0.0, workers=1, store=tmp_path, progress="none")
    (final,) = (trial for trial in result.trials if purpose(trial) == FINAL)
    assert final.status == "stopped"
    assert final.proposal.why["threads"] == 1
    assert final.proposal.fidelity.epochs <= final.proposal.why["most"] <= 60
    assert "checkpoint" in final.final.artifacts
    assert not any("weights of the search" in warning for warning in result.final.warnings)
