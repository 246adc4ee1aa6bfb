"""Running a benchmark as a user does."""

import os
import subprocess
import sys
from pathlib import Path


def run(script: Path, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, script, *words],
        cwd=folder,
        env={**os.environ, "DVC_ROOT": str(folder)},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
