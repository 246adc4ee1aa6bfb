"""Tests import the benchmarks' modules, and the helpers of the pretraining's tests, by name."""

import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent
sys.path += [str(TESTS.parent / "benchmarks")]
sys.path += [str(TESTS / folder) for folder in ("benchmarks", "pretrain", "crops")]
