"""The house holds: floors, sizes, names, tests of each module. `docs/architecture.md` draws what is checked.

Where a rule has exceptions they stand here by name, each with its reason; one that is no longer needed
fails.
"""

from __future__ import annotations

import ast
import re
import subprocess
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src" / "kirsch"

FLOORS = {
    "http": 0,
    "metrics": 0,
    "config": 0,
    "bus": 1,
    "web": 2,
    "server": 2,
    "tools": 3,
    "sessions": 3,
    "security": 3,
    "monitor": 4,
    "supervise": 4,
    "compat": 4,
    "cli": 5,
}
"""Rooms and their floors. Modules that lie in no room are the face, on floor 6."""
FACE = 6
BARE = frozenset({"_version"})
"""Modules on no floor: they import nothing and everybody may import them."""

WITHOUT_IO = frozenset({"http", "metrics"})
"""Rooms that take bytes or calls and return values."""
IO = frozenset(
    {"asyncio", "multiprocessing", "select", "selectors", "socket", "ssl", "subprocess", "threading", "time"}
)
"""What they do not import."""

LONGEST_FILE = 600
LONGEST_FUNCTION = 70

LONG_FILES: dict[str, str] = {}
LONG_FUNCTIONS: dict[str, str] = {}
UNTESTED: dict[str, str] = {
    "__init__.py": "the face: tests/web/test_face.py, together with what stands behind it",
    "_defaults.py": "what stands behind the face: the same",
    "_version.py": "a number",
    "server/roles.py": "protocols: mypy holds the parts of the server to them",
    "tools/__init__.py": "a list of tools: tests/web/test_face.py uses it, and each tool's test its line",
}
CIRCLES: dict[frozenset[str], str] = {}


class Import(NamedTuple):
    target: str
    line: int
    runs: bool
    """Whether it runs when the module is imported: not for type checkers alone, and not inside a function."""
    typing: bool
    """Whether it is for type checkers alone."""


def modules() -> list[Path]:
    return sorted(path for path in SOURCE.rglob("*.py") if "__pycache__" not in path.parts)


def name_of(path: Path) -> str:
    parts = path.relative_to(SOURCE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def room_of(module: str) -> str:
    """Return the room of `kirsch.ROOM...`; empty for the face."""
    part = module.split(".")[1] if "." in module else ""
    return part if part in FLOORS else ""


def floor_of(module: str) -> int:
    return FLOORS.get(room_of(module), FACE)


@cache
def names() -> frozenset[str]:
    return frozenset(name_of(path) for path in modules())


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"), str(path))


class _Imports(ast.NodeVisitor):
    def __init__(self, path: Path) -> None:
        self.found: list[Import] = []
        self._package = name_of(path) if path.name == "__init__.py" else name_of(path).rpartition(".")[0]
        self._functions = 0
        self._typing = 0

    def visit_If(self, node: ast.If) -> None:
        typing = isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        self._typing += typing
        for each in node.body:
            self.visit(each)
        self._typing -= typing
        for each in node.orelse:
            self.visit(each)

    def _function(self, node: ast.AST) -> None:
        self._functions += 1
        self.generic_visit(node)
        self._functions -= 1

    visit_FunctionDef = _function  # noqa: N815  the names ast.NodeVisitor calls
    visit_AsyncFunctionDef = _function  # noqa: N815  as above
    visit_Lambda = _function  # noqa: N815  as above

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            self._add(alias.name, node.lineno)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        base = node.module or ""
        if node.level:
            parts = self._package.split(".")
            base = ".".join([*parts[: len(parts) - node.level + 1], *([base] if base else [])])
        for alias in node.names:
            deeper = f"{base}.{alias.name}"
            self._add(deeper if deeper in names() else base, node.lineno)

    def visit_Call(self, node: ast.Call) -> None:
        """Take `import_module("kirsch.x")` for the import it is."""
        called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if called in {"import_module", "__import__"} and node.args:
            first = node.args[0]
            if isinstance(first, ast.Constant) and isinstance(first.value, str):
                self._add(first.value, node.lineno)
        self.generic_visit(node)

    def _add(self, target: str, line: int) -> None:
        self.found.append(Import(target, line, not self._functions and not self._typing, bool(self._typing)))


@cache
def imports_of(path: Path) -> tuple[Import, ...]:
    visitor = _Imports(path)
    visitor.visit(tree_of(path))
    return tuple(visitor.found)


def climbs(module: str, target: str) -> bool:
    """Say whether an import goes up, or sideways into another room."""
    if not target.startswith("kirsch") or target.removeprefix("kirsch.") in BARE:
        return False
    if room_of(module) == room_of(target):
        return False
    return floor_of(target) >= floor_of(module)


PATHS = {name_of(path): path for path in modules()}


@pytest.mark.parametrize(
    ("module", "target", "up"),
    [
        ("kirsch.http.dates", "kirsch.http.grammar", False),
        ("kirsch.http.dates", "kirsch.config", True),
        ("kirsch.web.request", "kirsch.server.body", True),
        ("kirsch.web.request", "kirsch.http", False),
        ("kirsch.bus.bus", "kirsch", True),
        ("kirsch.cli.run", "kirsch._defaults", True),
        ("kirsch.cli.run", "kirsch._version", False),
        ("kirsch._defaults", "kirsch.web", False),
        ("kirsch.__main__", "kirsch.cli", False),
        ("kirsch.web.body", "multipart", False),
    ],
)
def test_the_rule_of_the_floors_is_what_the_plan_says(module: str, target: str, up: bool) -> None:
    assert climbs(module, target) is up


@pytest.mark.parametrize("module", PATHS)
def test_imports_go_down(module: str) -> None:
    found = imports_of(PATHS[module])
    up = [f"line {each.line}: {each.target}" for each in found if climbs(module, each.target)]
    assert not up, f"{module} imports what lies above or beside it"


@pytest.mark.parametrize("module", [module for module in PATHS if room_of(module) in WITHOUT_IO])
def test_the_core_does_no_input_and_output(module: str) -> None:
    used = {each.target.partition(".")[0] for each in imports_of(PATHS[module])} & IO
    assert not used, f"{module} imports {', '.join(sorted(used))}"


def graph() -> dict[str, set[str]]:
    """Return which module imports which while it is imported. A room's face counts as itself."""
    return {
        name_of(path): {each.target for each in imports_of(path) if each.runs and each.target in names()}
        for path in modules()
    }


def test_modules_import_each_other_in_no_circle() -> None:
    edges = graph()
    done: set[str] = set()
    found: set[frozenset[str]] = set()

    def walk(module: str, way: list[str]) -> None:
        if module in way:
            found.add(frozenset(way[way.index(module) :]))
            return
        if module in done:
            return
        for target in sorted(edges[module]):
            walk(target, [*way, module])
        done.add(module)

    for module in sorted(edges):
        walk(module, [])
    assert found == set(CIRCLES)


def length(path: Path) -> int:
    return len(path.read_text("utf-8").splitlines())


def test_no_file_is_long() -> None:
    long = {str(path.relative_to(SOURCE)): length(path) for path in modules() if length(path) > LONGEST_FILE}
    assert set(long) == set(LONG_FILES), f"over {LONGEST_FILE} lines: {long}"


def test_no_function_is_long() -> None:
    long = {
        f"{name_of(path)}.{node.name}": lines
        for path in modules()
        for node in ast.walk(tree_of(path))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        if (lines := (node.end_lineno or node.lineno) - node.lineno + 1) > LONGEST_FUNCTION
    }
    assert set(long) == set(LONG_FUNCTIONS), f"over {LONGEST_FUNCTION} lines: {long}"


def test_names_of_the_ancestor_live_in_compat_alone() -> None:
    legacy = [
        name_of(path)
        for path in modules()
        if path.stem.startswith("_cp") and room_of(name_of(path)) != "compat"
    ]
    assert not legacy


def test_every_room_is_on_the_plan() -> None:
    folders = {path.parent.name for path in SOURCE.glob("*/__init__.py")}
    assert folders <= set(FLOORS), "a new room gets its floor here and in docs/architecture.md"


def test_every_module_has_a_test_file_of_its_name() -> None:
    missing = []
    for path in modules():
        inside = path.relative_to(SOURCE)
        if path.name == "__init__.py" and not any(
            isinstance(node, (ast.FunctionDef, ast.ClassDef)) for node in ast.walk(tree_of(path))
        ):
            continue  # names what the room offers, and holds nothing
        name = "test_" + ("init" if path.stem == "__init__" else path.stem.strip("_")) + ".py"
        if not (ROOT / "tests" / inside.parent / name).is_file():
            missing.append(str(inside))
    assert sorted(missing) == sorted(UNTESTED), "tests/ROOM/test_MODULE.py is missing, or no longer"


def committed() -> list[Path]:
    """Return the files that belong to the project: what git knows, or would."""
    done = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        pytest.skip("not a clone: git does not know which files are ours")
    return [ROOT / name for name in done.stdout.split("\0") if name and (ROOT / name).is_file()]


def pins(name: str) -> set[str]:
    text = (ROOT / "requirements" / name).read_text("utf-8")
    return set(re.findall(r"^([a-z0-9._-]+==[^ ]+) \\$", text, re.MULTILINE))


def test_one_environment_serves_running_and_developing() -> None:
    assert pins("run.txt")
    assert pins("run.txt") <= pins("dev.txt"), "make lock"


def test_every_exception_from_a_check_has_a_code_and_a_reason() -> None:
    comment = re.compile(r"#\s*(noqa|type:\s*ignore)(?P<rest>.*)")
    noqa = re.compile(r":\s*[A-Z]+[0-9]+(,\s*[A-Z]+[0-9]+)*\s{2,}\S.*")
    ignore = re.compile(r"\[[a-z-]+(,\s*[a-z-]+)*\]\s*#\s*\S.*")
    ignore_in_tests = re.compile(r"\[[a-z-]+(,\s*[a-z-]+)*\].*")
    bad = []
    for path in committed():
        if path.suffix != ".py":
            continue
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
            found = comment.search(line)
            # This file's own patterns are no exceptions.
            if found is None or (path == Path(__file__) and "re.compile" in line):
                continue
            # A test that puts something else in a method's place says so by the code alone.
            in_tests = path.is_relative_to(ROOT / "tests")
            rule = noqa if found[1] == "noqa" else ignore_in_tests if in_tests else ignore
            if rule.fullmatch(found["rest"].rstrip()) is None:
                bad.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()}")
    assert not bad, "\n".join(["no code, or no reason", *bad])


# Put together, so that this file does not hold what it looks for.
ELSEWHERE = (
    "/" + "work/",
    "/" + "tmp/bash",
    "/" + "opt/",
    "/home" + "/",
    "/Users" + "/",
    "pypi" + ".org",
    "pythonhosted" + ".org",
    "npmjs" + ".org",
)


def test_nothing_names_a_place_on_one_machine_or_a_package_host() -> None:
    named = []
    for path in committed():
        try:
            text = path.read_text("utf-8")
        except UnicodeDecodeError:
            continue
        named += [f"{path.relative_to(ROOT)}: {place}" for place in ELSEWHERE if place in text]
    assert not named
