"""Which weights a trial may begin with: those that its parent left."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from archwright.problem import FINAL, Proposal, Trial

INHERIT = "inherit"
"""Key of a proposal's ``why``: ``{"checkpoint": content hash, "choices": those of the network that left it}``."""


def bequeath(proposal: Proposal, trials: Mapping[int, Trial], has_artifact: Callable[[str], bool]) -> Proposal:
    """The proposal with what it may inherit in its ``why``, for evaluators whose ``inherits`` is true.

    Nothing changes where there is no parent, it left no checkpoint (yet), or the proposal goes on from one of its own network's.
    """
    if proposal.parent is None or proposal.resume is not None or proposal.why.get("by") == FINAL:
        return proposal
    parent = trials[proposal.parent]
    digest = parent.final.artifacts.get("checkpoint") if parent.done and parent.final else None
    if digest is None or not has_artifact(digest):
        return proposal
    legacy = {"checkpoint": digest, "choices": parent.proposal.architecture.choices}
    return msgspec.structs.replace(proposal, why={**proposal.why, INHERIT: legacy})
