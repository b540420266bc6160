"""A search by archwright within a given time, its answer tested.

python architecture_search.py SPECIFICATION.json
"""

from __future__ import annotations

import time

BEGUN = time.time()

import json  # noqa: E402
import sys  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

import archwright  # noqa: E402
from archwright.problem import Budget  # noqa: E402
from archwright.tasks import load_task  # noqa: E402


def answer(given: dict[str, Any]) -> dict[str, float]:
    """Search as a specification says and return the score on the test rows, and counts.

    Raises:
        BudgetError: If the search ended without a tested network.
    """
    task = load_task(
        given["source"],
        given["target"] or None,
        test=given["test"] or None,
        kind=given["kind"],
        seed=given["seed"],
    )
    control: dict[str, Any] = {} if given["strategy"] == "auto" else {"baseline": 0.0}
    result = archwright.search(
        task,
        strategy=given["strategy"],
        options=given["options"],
        budget=Budget(seconds=max(1.0, given["seconds"] - (time.time() - BEGUN) - 0.5)),
        workers=given["workers"],
        seed=given["seed"],
        name="search",
        store=given["store"],
        progress="none",
        **control,
    )
    if result.final is None:
        raise archwright.errors.BudgetError(f"The search ended without a tested network: {result.ended}.")
    metric = result.final.metric
    return {
        metric: result.final.test[metric].value,
        "rows": len(task.train) + len(task.valid),
        "test_rows": len(task.test),
        "epochs": result.final.epochs,
        "trials": sum(trial.status == "finished" for trial in result.trials),
        "parameters": result.final.cost.params if result.final.cost else 0,
    }


if __name__ == "__main__":
    print(json.dumps(answer(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))))
