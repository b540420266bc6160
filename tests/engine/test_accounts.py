from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

import archwright as aw
from archwright.engine.accounts import Accounts
from archwright.problem import BASELINE
from archwright.space import OUTPUTS, chain, choice, op

SPACE = aw.Space(chain(op("dense", width=choice(4, 8)), op("linear", width=OUTPUTS)), "tiny")
SHARE = 0.1


def accounts_of(budget, **settings):
    signature = aw.Signature(((5,),), (2,))
    return Accounts(aw.Problem(SPACE, signature, (aw.Objective("accuracy"),), budget=budget, settings=settings), {})


def trial(number, by="reference"):
    return aw.Trial(number, aw.Proposal(aw.Architecture((("a", number),)), aw.Fidelity(1), why={"by": by}))


def ended(begun, seconds, status="finished"):
    return msgspec.structs.replace(begun, status=status, seconds=seconds, measurements=(aw.Measurement({}),))


TIMED = aw.Budget(seconds=1e6)


@given(st.booleans(), st.lists(st.tuples(st.floats(0.1, 20.0), st.floats(0.1, 200.0)), min_size=1, max_size=40))
def test_if_time_is_limited_the_control_has_its_share_of_the_seconds(race, pairs):
    """But for one that was slower than those before."""
    accounts, longest = accounts_of(TIMED, **({"race": {}} if race else {})), 0.0
    for number, (seconds, slow) in enumerate(pairs):
        searched = trial(2 * number)
        accounts.note_start(searched, True)
        accounts.note_end(ended(searched, seconds))
        if not accounts.control_is_due(SHARE, aw.Fidelity(1)):
            continue
        drawn = trial(2 * number + 1, BASELINE)
        accounts.note_start(drawn, True)
        accounts.note_end(ended(drawn, slow))
        longest = max(longest, slow)
    spent = sum(accounts.seconds.values())
    assert accounts.seconds[BASELINE] <= SHARE * spent + longest


@given(st.lists(st.integers(1, 60), min_size=1, max_size=40))
def test_else_it_has_its_share_of_the_epochs_whatever_they_took(lengths):
    accounts = accounts_of(aw.Budget(trials=99))
    for number, epochs in enumerate(lengths):
        one = trial(number, BASELINE if accounts.control_is_due(SHARE, aw.Fidelity(1)) else "random")
        longer = msgspec.structs.replace(
            one.proposal, fidelity=aw.Fidelity(1 if one.proposal.why["by"] == BASELINE else epochs)
        )
        one = msgspec.structs.replace(one, proposal=longer)
        accounts.note_start(one, True)
        accounts.note_end(ended(one, 1000.0))
    assert accounts.costs[BASELINE] < SHARE * sum(accounts.costs.values()) + 1


def test_a_control_that_reused_a_result_does_not_end_the_control():
    accounts = accounts_of(TIMED, race={})
    for number in range(10):
        accounts.note_start(trial(number), True)
        accounts.note_end(ended(trial(number), 1.0))
    accounts.note_start(trial(10, BASELINE), False)
    accounts.note_end(ended(trial(10, BASELINE), 0.0, "duplicate"))
    assert accounts.control_is_due(SHARE, aw.Fidelity(1))
