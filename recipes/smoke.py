"""Run every recipe for a few steps on made-up data: does the whole road still lead somewhere?"""

import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

for script in sorted(Path(__file__).parent.glob("*/smoke.py")):
    with TemporaryDirectory() as folder:
        print(f"recipe {script.parent.name}", flush=True)
        subprocess.run([sys.executable, script, folder], check=True)  # noqa: S603
