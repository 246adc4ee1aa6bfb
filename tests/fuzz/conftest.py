"""The modules of the fuzz command stand beside its tests."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent))
