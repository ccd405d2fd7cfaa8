"""What the room offers, and what it must never touch."""

from __future__ import annotations

import ast
import importlib
import pkgutil
from pathlib import Path

import pytest

from kirsch import http

MODULES = sorted(module.name for module in pkgutil.iter_modules(http.__path__))
FORBIDDEN = {
    "asyncio",
    "os",
    "selectors",
    "socket",
    "subprocess",
    "threading",
    "time",
    "_thread",
    "ssl",
    "pathlib",
}


def test_every_public_name_exists_and_is_offered_once() -> None:
    assert sorted(set(http.__all__)) == sorted(http.__all__)
    for name in http.__all__:
        assert getattr(http, name) is not None


@pytest.mark.parametrize("module", MODULES)
def test_a_module_offers_what_it_says(module: str) -> None:
    loaded = importlib.import_module(f"kirsch.http.{module}")
    for name in loaded.__all__:
        offered = getattr(loaded, name)
        assert getattr(http, name, offered) is offered


@pytest.mark.parametrize("module", MODULES)
def test_a_module_does_no_io_and_imports_nothing_of_the_rooms_above(module: str) -> None:
    path = Path(http.__file__).with_name(f"{module}.py")
    imported: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            imported.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            imported.add(node.module or "")
    assert not {name for name in imported if name.partition(".")[0] in FORBIDDEN}
    assert all(name.startswith("kirsch.http") for name in imported if name.startswith("kirsch"))


@pytest.mark.parametrize("module", MODULES)
def test_a_module_says_who_uses_it_or_what_it_is_for(module: str) -> None:
    assert importlib.import_module(f"kirsch.http.{module}").__doc__
