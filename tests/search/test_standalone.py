"""The folder of the narrowing sampler works alone, as a package that is published by itself."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import hpo.search.narrowing

FOLDER = Path(hpo.search.narrowing.__file__).parent

SCRIPT = """
import sys
sys.modules["hpo"] = None  # importing it fails
import optuna
from alone import NarrowingSampler
optuna.logging.set_verbosity(optuna.logging.WARNING)
{example}
print(study.best_value)
"""


def test_the_folder_alone_runs_its_example(tmp_path: Path) -> None:
    shutil.copytree(FOLDER, tmp_path / "alone")
    readme = (FOLDER / "README.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"^```python\n(.*?)^```$", readme, flags=re.DOTALL | re.MULTILINE)
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(example=example)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 0.1
