from __future__ import annotations

import subprocess
import sys

from kirsch import __version__


def test_python_m_kirsch_is_the_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "kirsch", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"Kirsch {__version__}\n"


def test_importing_the_module_runs_nothing() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import kirsch.__main__"], capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == ("", "")
