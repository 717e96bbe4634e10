"""A virtual environment for each library, with the versions that were measured: their dependencies do not agree with each other.

python-binance and binance-connector even own the same package. xchws is measured in the environment that runs this.
"""

from __future__ import annotations

import subprocess
import sys
import zlib
from pathlib import Path

from benchmarks.reliability.stage import ROOT

REQUIREMENTS = Path(__file__).resolve().parent / "requirements"
_PLACE = ROOT / ".venvs" / "compare"


def python_of(name: str) -> str:
    """The Python of a library's environment, made if it is not there or was made for other versions; may take a minute.

    Raises:
        subprocess.CalledProcessError: it cannot be made.
    """
    requirements = REQUIREMENTS / f"{name}.txt"
    if not requirements.is_file():
        return sys.executable
    folder = _PLACE / name
    python, stamp = folder / "bin" / "python", folder / ".requirements"
    key = f"{sys.version} {zlib.crc32(requirements.read_bytes())}"
    if not stamp.is_file() or stamp.read_text() != key:
        print(f"making {folder.relative_to(ROOT)}", flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        install = [
            "-m",
            "pip",
            "install",
            "--quiet",
            "--quiet",
            "--disable-pip-version-check",
            "--requirement",
            str(requirements),
        ]
        subprocess.run([str(python), *install], check=True)
        stamp.write_text(key)
    return str(python)
