"""Networks that need more memory than there is: refused before the training, or failed with a reason during it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from archwright.errors import EvaluationError
from archwright.problem import Cost
from archwright.tasks.checks import available_bytes

_SIGNS = (
    "can't allocate memory",
    "not enough memory",
    "out of memory",
    "cannot allocate memory",
    "could not create a memory object",
)


def needed_bytes(cost: Cost, batch: int, data: int = 0) -> int:
    """A cautious estimate of what training takes: activations, their gradients and workspaces; weights, gradients, moments; and the data.

    Args:
        cost: Of the network.
        batch: Samples in a step.
        data: Bytes of the data as the trainer holds it.
    """
    return 3 * batch * cost.activation_bytes + 16 * cost.params + data


def check_memory(cost: Cost, batch: int, data: int = 0) -> None:
    """Refuses a network that cannot be trained in the memory that is free.

    Raises:
        EvaluationError: With the numbers.
    """
    needed, available = needed_bytes(cost, batch, data), available_bytes()
    if needed > available:
        raise EvaluationError(
            f"The network is too large: training it in batches of {batch} needs about {needed / 1e9:.2f} GB ({cost.activation_bytes / 1e6:.1f} MB of activations for each "
            f"sample, {cost.params:,} parameters); {available / 1e9:.2f} GB are free. Use a smaller space, a constraint such as 'activation_bytes<=50M', or smaller batches."
        )


@contextmanager
def out_of_memory(cost: Cost, batch: int) -> Iterator[None]:
    """Turns torch's and Python's out-of-memory errors into an :class:`EvaluationError`."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        exhausted = isinstance(error, MemoryError | torch.OutOfMemoryError) or any(
            sign in str(error).lower() for sign in _SIGNS
        )
        if not exhausted:
            raise
        reason = str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
        raise EvaluationError(
            f"Out of memory while training {cost.params:,} parameters in batches of {batch} ({reason})."
        ) from error
