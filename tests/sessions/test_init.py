from __future__ import annotations

import subprocess
import sys

import pytest

import kirsch.sessions


def test_every_name_is_there() -> None:
    for name in kirsch.sessions.__all__:
        assert getattr(kirsch.sessions, name).__name__ == name


def test_other_names_are_not() -> None:
    with pytest.raises(AttributeError, match=r"module 'kirsch\.sessions' has no attribute 'Sesion'"):
        _ = kirsch.sessions.Sesion


def test_programs_without_sessions_load_nearly_nothing_of_them() -> None:
    program = (
        "import sys, kirsch; kirsch.tools.sessions; "
        "print(*sorted(name for name in sys.modules if name.startswith('kirsch.sessions')))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["kirsch.sessions", "kirsch.sessions.tool"]
