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


def race(trials):
    signature = aw.Signature(((5,),), (2,))
    return Accounts(aw.Problem(SPACE, signature, (aw.Objective("accuracy"),), settings={"race": {}}), trials)


def trial(number, by="reference"):
    return aw.Trial(number, aw.Proposal(aw.Architecture((("a", number),)), aw.Fidelity(1), why={"by": by}))


def ended(begun, seconds, status="finished"):
    return msgspec.structs.replace(begun, status=status, seconds=seconds, measurements=(aw.Measurement({}),))


@given(st.lists(st.tuples(st.floats(0.1, 20.0), st.floats(0.1, 200.0)), min_size=1, max_size=40))
def test_the_control_of_a_race_has_its_share_of_the_seconds_but_for_one_that_was_slower_than_those_before(pairs):
    accounts, longest = race({}), 0.0
    for number, (seconds, slow) in enumerate(pairs):
        searched = trial(2 * number)
        accounts.note_start(searched, True)
        accounts.note_end(ended(searched, seconds))
        if not accounts.control_is_due(SHARE, aw.Fidelity(1)):
            continue
        drawn = trial(2 * number + 1, BASELINE)
        accounts.note_start(drawn, True)
        assert not accounts.control_is_due(SHARE, aw.Fidelity(1)), "one runs"
        accounts.note_end(ended(drawn, slow))
        longest = max(longest, slow)
    spent = sum(accounts.seconds.values())
    assert accounts.seconds[BASELINE] <= SHARE * spent + longest


def test_a_control_that_reused_a_result_does_not_end_the_control():
    accounts = race({})
    for number in range(10):
        accounts.note_start(trial(number), True)
        accounts.note_end(ended(trial(number), 1.0))
    accounts.note_start(trial(10, BASELINE), False)
    accounts.note_end(ended(trial(10, BASELINE), 0.0, "duplicate"))
    assert accounts.control_is_due(SHARE, aw.Fidelity(1))
