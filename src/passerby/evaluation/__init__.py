"""How good features are: ranking and verification; arrays in, numbers out."""

from passerby.evaluation.assessment import Result, evaluate

__all__ = ["Result", "evaluate"]
