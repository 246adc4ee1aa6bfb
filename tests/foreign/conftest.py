"""Tests import the helper modules beside this file by name."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent))
