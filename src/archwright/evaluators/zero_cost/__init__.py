"""Zero-cost scores: what a network before its training tells about it."""

from archwright.evaluators.zero_cost.evaluator import ZeroCost
from archwright.evaluators.zero_cost.scores import DATA_FREE, SCORES, graph_score, list_scores, score

__all__ = ["DATA_FREE", "SCORES", "ZeroCost", "graph_score", "list_scores", "score"]
