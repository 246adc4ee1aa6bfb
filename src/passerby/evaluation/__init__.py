"""How good features are: ranking and verification; arrays in, numbers out."""

from passerby.evaluation.assessment import evaluate
from passerby.evaluation.result import Result

__all__ = ["Result", "evaluate"]
