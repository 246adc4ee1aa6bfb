"""How good features are: ranking and verification; arrays in, numbers out."""

from passerby.evaluation.assessment import evaluate
from passerby.evaluation.repeated import evaluate_trials
from passerby.evaluation.repeated_result import TrialsResult
from passerby.evaluation.result import Result
from passerby.evaluation.trials import classic_cuhk03, cuhk01, draw_test_sets

__all__ = [
    "Result",
    "TrialsResult",
    "classic_cuhk03",
    "cuhk01",
    "draw_test_sets",
    "evaluate",
    "evaluate_trials",
]
