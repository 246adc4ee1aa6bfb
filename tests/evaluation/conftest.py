"""Tests import the helper modules beside this file by name; so do the workers that they start."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.append(str(HERE))
