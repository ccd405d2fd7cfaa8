"""The names the room offers are there, and cost nothing until they are used."""

from __future__ import annotations

import subprocess
import sys

import pytest

from kirsch import security


@pytest.mark.parametrize("name", security.__all__)
def test_every_name_is_what_its_module_calls_so(name: str) -> None:
    found = getattr(security, name)
    home = sys.modules[f"kirsch.security.{security._HOME_OF[name]}"]
    assert found is vars(home)[name]


def test_no_other_name_is_there() -> None:
    assert set(security._HOME_OF) == set(security.__all__)
    assert not {name for names in security._HOMES.values() for name in names} & set(security._HOMES)
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = security.nothing


def test_what_few_programs_need_is_not_loaded_with_the_tools() -> None:
    code = (
        "import sys; from kirsch.security import install; "
        "print(*[name for name in sys.modules if name.startswith('kirsch.security.')])"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    for name in ("passwords", "signing", "proxies", "reports", "guard", "cookies"):
        assert f"kirsch.security.{name}" not in printed.split()
