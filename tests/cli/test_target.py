from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest

from kirsch.cli.errors import Failure, WrongTarget
from kirsch.cli.target import Target, calling, load, parse_target

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("app", Target("app", module="app")),
        ("package.module", Target("package.module", module="package.module")),
        ("package.module:app", Target("package.module:app", module="package.module", attribute="app")),
        ("module:site.root", Target("module:site.root", module="module", attribute="site.root")),
        ("module:make()", Target("module:make()", module="module", attribute="make", call=True)),
        ("app.py", Target("app.py", file="app.py")),
        ("path/to/app.py:root", Target("path/to/app.py:root", file="path/to/app.py", attribute="root")),
        (
            "a b/my-app.py:make()",
            Target("a b/my-app.py:make()", file="a b/my-app.py", attribute="make", call=True),
        ),
        ("C:\\site\\app.py:app", Target("C:\\site\\app.py:app", file="C:\\site\\app.py", attribute="app")),
    ],
)
def test_a_target_is_taken_apart(text: str, target: Target) -> None:
    assert parse_target(text) == target


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "'' is no name of a module"),
        ("my-app", "'my-app' is no name of a module"),
        (".module", "'.module' is no name of a module"),
        ("module:", "has no name of Python after its colon"),
        ("module:2", "has no name of Python after its colon"),
        ("app.py:", "has no name of Python after its colon"),
        ("module:make(1)", "has no name of Python after its colon"),
        ("path/to/app", "'path/to/app' is a path, but not of a .py file"),
        ("path/to/app:name", "'path/to/app' is a path, but not of a .py file"),
    ],
)
def test_what_is_no_target_is_told_how_to_write_one(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=r"Write package\.module:name") as caught:
        parse_target(text)
    assert reason in str(caught.value)


def loaded(text: str) -> tuple[Any, str]:
    return load(parse_target(text))


def refused(text: str) -> str:
    with pytest.raises(WrongTarget) as caught:
        loaded(text)
    assert caught.value.exit_code == 2
    return str(caught.value)


def test_a_module_of_the_working_directory_is_imported(program_folder: Path) -> None:
    (program_folder / "kirsch_site_a.py").write_text("class site: root = 'found'")
    assert loaded("kirsch_site_a:site.root") == ("found", "site.root")
    assert sys.path[0] == str(program_folder)


def test_a_module_of_a_package_is_imported(program_folder: Path) -> None:
    (program_folder / "kirsch_pack").mkdir()
    (program_folder / "kirsch_pack" / "web.py").write_text("app = 'found'")
    assert loaded("kirsch_pack.web") == ("found", "app")


def test_a_file_is_imported_by_its_stem_with_its_folder_on_the_path(program_folder: Path) -> None:
    folder = program_folder / "deep"
    folder.mkdir()
    (folder / "kirsch_beside.py").write_text("value = 7")
    (folder / "kirsch_file.py").write_text("from kirsch_beside import value\napp = (__name__, value)")
    assert loaded("deep/kirsch_file.py") == (("kirsch_file", 7), "app")
    assert sys.path[0] == str(folder)
    assert sys.modules["kirsch_file"].__file__ == str(folder / "kirsch_file.py")


def test_a_file_called_like_a_loaded_module_does_not_take_its_place(program_folder: Path) -> None:
    (program_folder / "logging.py").write_text("app = __name__")
    before = sys.modules["logging"]
    assert loaded("logging.py") == ("logging_program", "app")
    assert sys.modules["logging"] is before


def test_a_file_whose_name_is_no_identifier_is_imported(program_folder: Path) -> None:
    (program_folder / "my-app.py").write_text("app = __name__")
    assert loaded("my-app.py") == ("my_app_program", "app")


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("app = 1; application = 2; root = 3; Root = 4", "app"),
        ("application = 2; root = 3; Root = 4", "application"),
        ("root = 3; Root = 4", "root"),
        ("Root = 4", "Root"),
        ("import os as app; Root = 4", "Root"),
        ("app = None; Root = 4", "Root"),
    ],
)
def test_without_a_name_the_conventional_ones_are_tried_in_order(
    program_folder: Path, source: str, name: str
) -> None:
    (program_folder / "kirsch_names.py").write_text(source)
    assert loaded("kirsch_names.py")[1] == name


def test_a_name_with_parentheses_is_called(program_folder: Path) -> None:
    (program_folder / "kirsch_made.py").write_text("def make(): return 'made'")
    assert loaded("kirsch_made:make()") == ("made", "make")


def test_what_cannot_be_called_is_told_so(program_folder: Path) -> None:
    (program_folder / "kirsch_fixed.py").write_text("app = 5")
    assert refused("kirsch_fixed:app()") == (
        "kirsch_fixed:app is an int, which cannot be called; leave out the ()."
    )


def test_a_module_that_is_not_there_is_one_sentence_with_the_nearest_name(program_folder: Path) -> None:
    (program_folder / "kirsch_notes.py").touch()
    assert refused("kirsch_note:app") == (
        f"There is no module kirsch_note in {program_folder} or among the installed ones."
        " Did you mean kirsch_notes?"
    )


def test_a_module_that_is_like_no_other_is_told_of_chdir(program_folder: Path) -> None:
    assert "say so with --chdir" in refused("qqqqzzzzqqqq")


def test_a_missing_module_of_a_package_names_those_it_has(program_folder: Path) -> None:
    (program_folder / "kirsch_house").mkdir()
    (program_folder / "kirsch_house" / "__init__.py").touch()
    assert refused("kirsch_house.web").endswith("kirsch_house has no modules.")
    (program_folder / "kirsch_house" / "site.py").touch()
    assert refused("kirsch_house.web").endswith("kirsch_house has site.")
    assert refused("kirsch_house.sites.deep").endswith("Did you mean kirsch_house.site?")


def test_a_name_that_is_not_there_names_the_nearest(program_folder: Path) -> None:
    (program_folder / "kirsch_near.py").write_text("class site: root = 1\napplication = 2")
    assert refused("kirsch_near:applicatoin") == (
        "kirsch_near has nothing called applicatoin. Did you mean application?"
    )
    assert refused("kirsch_near:site.roof") == "kirsch_near:site has nothing called roof. Did you mean root?"
    assert refused("kirsch_near:application.zz") == (
        "kirsch_near:application has nothing called zz. It has no names of its own."
    )


def test_a_module_without_conventional_names_lists_what_it_has(program_folder: Path) -> None:
    names = [f"thing{number:02}" for number in range(14)]
    (program_folder / "kirsch_other.py").write_text(
        "import os\nfrom pathlib import Path\n" + "\n".join(f"class {name}: pass" for name in names)
    )
    assert refused("kirsch_other") == (
        "kirsch_other has nothing called app, application, root or Root."
        f" Name what to serve, kirsch_other:NAME; it has {', '.join(names[:12])} and 3 more."
    )
    (program_folder / "kirsch_void.py").touch()
    assert refused("kirsch_void.py").endswith("It is empty.")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ap.py", "There is no file ap.py (from {0}). Did you mean app.py?"),
        ("zzzz.py:root", "There is no file zzzz.py (from {0})."),
        ("folder.py", "folder.py is a folder; name a file in it."),
        ("nowhere/app.py", "There is no file nowhere/app.py: the folder {0}/nowhere does not exist."),
    ],
)
def test_a_file_that_is_not_there_is_one_sentence(program_folder: Path, text: str, message: str) -> None:
    (program_folder / "app.py").touch()
    (program_folder / "folder.py").mkdir()
    assert refused(text) == message.format(program_folder)


def test_a_file_python_would_not_import_is_told_so(program_folder: Path) -> None:
    (program_folder / "loud.PY").touch()
    assert refused("loud.PY") == "Python does not import loud.PY: its name must end in .py."


def broken(text: str) -> Failure:
    with pytest.raises(Failure) as caught:
        loaded(text)
    assert caught.value.exit_code == 1
    return caught.value


@pytest.mark.parametrize("text", ["kirsch_broken", "kirsch_broken.py"])
def test_an_error_of_the_program_shows_its_own_traceback_alone(program_folder: Path, text: str) -> None:
    (program_folder / "kirsch_broken.py").write_text("def outer():\n    import kirsch_gone\nouter()\n")
    failure = broken(text)
    assert str(failure) == (
        f"{text} could not be imported: ModuleNotFoundError: No module named 'kirsch_gone'."
    )
    assert failure.detail.count("kirsch_broken.py") == 2
    assert "importlib" not in failure.detail
    assert "cli" not in failure.detail
    assert isinstance(failure.cause, ModuleNotFoundError)
    assert "kirsch_broken" not in sys.modules


def test_a_program_that_misses_a_module_of_its_own_name_shows_its_traceback(program_folder: Path) -> None:
    (program_folder / "kirsch_self").mkdir()
    (program_folder / "kirsch_self" / "__init__.py").write_text("import kirsch_self.part")
    assert "import kirsch_self.part" in broken("kirsch_self.part").detail


def test_a_syntax_error_shows_the_line(program_folder: Path) -> None:
    (program_folder / "kirsch_syntax.py").write_text("def broken(:\n")
    failure = broken("kirsch_syntax:app")
    assert "kirsch_syntax.py" in failure.detail
    assert "def broken(:" in failure.detail
    assert "SyntaxError" in str(failure)


@pytest.mark.parametrize("text", ["kirsch_leaves", "kirsch_leaves.py"])
def test_a_program_that_ends_itself_is_told_where_that_belongs(program_folder: Path, text: str) -> None:
    (program_folder / "kirsch_leaves.py").write_text("import sys\nsys.exit('enough')")
    failure = broken(text)
    assert "ended itself while it was imported (SystemExit: enough.)" in str(failure)
    assert '`if __name__ == "__main__":`' in str(failure)
    assert failure.detail == ""


def test_a_file_of_a_package_is_told_to_be_named_as_a_module(program_folder: Path) -> None:
    (program_folder / "kirsch_box").mkdir()
    (program_folder / "kirsch_box" / "__init__.py").touch()
    (program_folder / "kirsch_box" / "web.py").write_text("from . import thing")
    assert str(broken("kirsch_box/web.py")).endswith(
        "It belongs to the package kirsch_box: name it as kirsch_box.web."
    )


@pytest.mark.parametrize("text", ["kirsch_interrupted", "kirsch_interrupted.py"])
def test_ctrl_c_while_the_program_is_imported_passes_through(program_folder: Path, text: str) -> None:
    (program_folder / "kirsch_interrupted.py").write_text("raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        loaded(text)


def test_a_factory_that_fails_shows_its_own_traceback(program_folder: Path) -> None:
    (program_folder / "kirsch_factory.py").write_text("def make():\n    raise ValueError('no such luck!')\n")
    failure = broken("kirsch_factory:make()")
    assert str(failure) == "kirsch_factory:make() failed: ValueError: no such luck!"
    assert "kirsch_factory.py" in failure.detail
    assert "target.py" not in failure.detail


def test_ctrl_c_in_a_factory_passes_through() -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        calling(interrupted, "interrupted()")
