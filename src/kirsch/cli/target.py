"""What a person types to name a program, and how it is found.

`package.module:name.of.attribute`, `package.module`, `path/to/file.py`, `path/to/file.py:name`; `()` behind
the name calls it, for programs that are made by a function. Without a name the conventional ones are tried.
"""

from __future__ import annotations

import importlib
import importlib.machinery
import importlib.util
import os
import pkgutil
import re
import sys
import traceback
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType, TracebackType
from typing import TYPE_CHECKING, Any

from kirsch.cli.errors import Failure, WrongTarget
from kirsch.cli.face import face
from kirsch.config import nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

__all__ = ["CONVENTIONAL", "Target", "calling", "load", "parse_target"]

CONVENTIONAL = ("app", "application", "root", "Root")
"""Names that are tried, in this order, when the target names none."""

_MOST_NAMES = 12
"""Names an error lists; more help nobody."""

_FILE = re.compile(r"(?P<file>.+\.py)(?::(?P<attribute>[^:/\\]*))?\Z", re.IGNORECASE | re.DOTALL)
_EXAMPLES = "Write package.module:name, package.module or path/to/file.py."


@dataclass(frozen=True, slots=True)
class Target:
    """A program as named on the command line.

    Parameters:
        text: as it was typed.
        module: dotted name of the module; empty when a file is named.
        file: path of the file as it was typed; empty when a module is named.
        attribute: dotted name in it; empty for the conventional ones.
        call: whether what is found is to be called, without arguments, for the program.
    """

    text: str
    module: str = ""
    file: str = ""
    attribute: str = ""
    call: bool = False

    @property
    def place(self) -> str:
        """The module or file, as a person names it."""
        return self.file or self.module


def parse_target(text: str) -> Target:
    """Take a target apart; ValueError, with a sentence, for one that cannot be. Nothing is looked up."""
    found = _FILE.match(text)
    if found is not None:
        place, named, attribute = found["file"], found["attribute"] is not None, found["attribute"] or ""
    else:
        place, colon, attribute = text.partition(":")
        named = bool(colon)
    call = attribute.endswith("()")
    attribute = attribute.removesuffix("()")
    if named and not _is_dotted(attribute):
        raise ValueError(f"{text!r} has no name of Python after its colon. {_EXAMPLES}")
    if found is not None:
        return Target(text, file=place, attribute=attribute, call=call)
    if os.sep in place or (os.altsep and os.altsep in place):
        raise ValueError(f"{place!r} is a path, but not of a .py file. {_EXAMPLES}")
    if not _is_dotted(place):
        raise ValueError(f"{place!r} is no name of a module. {_EXAMPLES}")
    return Target(text, module=place, attribute=attribute, call=call)


def _is_dotted(name: str) -> bool:
    return all(part.isidentifier() for part in name.split("."))


def load(target: Target) -> tuple[Any, str]:
    """Import the program and return what the target names, with the name it was found under.

    The working directory, or the folder of the file, comes first on `sys.path`. Raises Failure: one sentence
    for what is not there, with the nearest name that is; the program's own traceback when it fails itself.
    """
    module = _import_file(target) if target.file else _import_module(target)
    if target.attribute:
        value, name = _walk(module, target), target.attribute
    else:
        value, name = _conventional(module, target)
    if target.call:
        if not callable(value):
            raise WrongTarget(
                f"{target.place}:{name} is {_article(value)}, which cannot be called; leave out the ()."
            )
        value = calling(value, f"{target.place}:{name}()")
    return value, name


# --- importing ---


def _first_on_path(folder: str) -> None:
    if sys.path[:1] != [folder]:
        sys.path.insert(0, folder)
    importlib.invalidate_caches()


def _import_module(target: Target) -> ModuleType:
    folder = str(Path.cwd())
    _first_on_path(folder)
    try:
        return importlib.import_module(target.module)
    except ModuleNotFoundError as error:
        # Its name tells a target that is not there from a module the program misses, unless the program
        # imports by that name itself; then it has frames of its own.
        missing = error.name or ""
        own = f"{target.module}.".startswith(f"{missing}.") and _trimmed(error.__traceback__) is None
        if not (missing and own):
            raise _broken(target.place, error) from error
        raise WrongTarget(_no_module(target.module, missing, folder)) from None
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise _broken(target.place, error) from error


def _no_module(wanted: str, missing: str, folder: str) -> str:
    parent, _, tail = missing.rpartition(".")
    if parent:
        package = sys.modules.get(parent)
        names = [each.name for each in pkgutil.iter_modules(getattr(package, "__path__", None) or [])]
        close = nearest(tail, names)
        hint = (
            f"Did you mean {parent}.{close}?" if close else f"{parent} has {_listed(names) or 'no modules'}."
        )
        return f"There is no module {missing} (from {folder}). {hint}"
    close = nearest(missing, (each.name for each in pkgutil.iter_modules([folder])))
    close = close or nearest(missing, (each.name for each in pkgutil.iter_modules()))
    if close:
        hint = f"Did you mean {close}{wanted.removeprefix(missing)}?"
    else:
        hint = "Run it where the program is, or say so with --chdir."
    return f"There is no module {missing} in {folder} or among the installed ones. {hint}"


def _import_file(target: Target) -> ModuleType:
    path = Path(target.file).absolute()
    if not path.is_file():
        raise WrongTarget(_no_file(target.file, path))
    _first_on_path(str(path.parent))
    name = path.stem
    if not name.isidentifier() or name in sys.modules or name in sys.builtin_module_names:
        # Its place in sys.modules is taken: "calendar.py" must not become what others import as `calendar`.
        name = re.sub(r"\W", "_", f"{name}_program")
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:  # a suffix in capitals, where file names know the difference
        raise WrongTarget(f"Python does not import {target.file}: its name must end in .py.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        sys.modules.pop(name, None)
        hint = ""
        if isinstance(error, ImportError) and "relative import" in str(error):
            hint = (
                f" It belongs to the package {path.parent.name}: name it as {path.parent.name}.{path.stem}."
            )
        raise _broken(target.place, error, hint) from error
    return module


def _no_file(typed: str, path: Path) -> str:
    if path.is_dir():
        return f"{typed} is a folder; name a file in it."
    if not path.parent.is_dir():
        return f"There is no file {typed}: the folder {path.parent} does not exist."
    files = sorted(each.name for each in path.parent.glob("*.py"))
    close = nearest(path.name, files)
    hint = f"Did you mean {Path(typed).with_name(close)}?" if close else ""
    return f"There is no file {typed} (from {Path.cwd()}). {hint}".rstrip()


# --- the program's own failures ---


def calling(function: Callable[[], Any], what: str) -> Any:
    """Return `function()`; Failure, with the traceback of the program, when that raises."""
    try:
        return function()
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        detail = _formatted(error)
        raise Failure(f"{what} failed: {_brief(error)}", detail=detail, cause=error) from error


def _broken(place: str, error: BaseException, hint: str = "") -> Failure:
    if isinstance(error, SystemExit):
        message = (
            f"{place} ended itself while it was imported ({_brief(error)}). What starts or ends it belongs"
            ' below `if __name__ == "__main__":`.'
        )
        return Failure(message, cause=error)
    return Failure(
        f"{place} could not be imported: {_brief(error)}{hint}", detail=_formatted(error), cause=error
    )


def _brief(error: BaseException) -> str:
    text = " ".join("".join(traceback.format_exception_only(error)[-1:]).split())
    return text if text.endswith((".", "!", "?")) else f"{text}."


def _formatted(error: BaseException) -> str:
    return "".join(traceback.format_exception(type(error), error, _trimmed(error.__traceback__)))


def _trimmed(trace: TracebackType | None) -> TracebackType | None:
    """Return the traceback from the first frame of the program on: without ours, and without importlib's."""
    own = str(Path(__file__).parent) + os.sep
    while trace is not None:
        name = trace.tb_frame.f_code.co_filename
        if not (name.startswith((own, "<frozen importlib")) or name == importlib.__file__):
            return trace
        trace = trace.tb_next
    return None


# --- names in the program ---


def _walk(module: ModuleType, target: Target) -> Any:
    value: Any = module
    so_far = target.place
    separator = ":"
    for part in target.attribute.split("."):
        try:
            value = getattr(value, part)
        except AttributeError:
            names = _public(value)
            close = nearest(part, names)
            hint = f"Did you mean {close}?" if close else f"It has {_listed(names) or 'no names of its own'}."
            raise WrongTarget(f"{so_far} has nothing called {part}. {hint}") from None
        so_far, separator = f"{so_far}{separator}{part}", "."
    return value


def _conventional(module: ModuleType, target: Target) -> tuple[Any, str]:
    for name in CONVENTIONAL:
        value = getattr(module, name, None)
        if value is not None and not isinstance(value, ModuleType):
            return value, name
    default = face()
    if default is not None and default.tree.apps:
        return default.tree, "kirsch.tree"
    tried = f"{', '.join(CONVENTIONAL[:-1])} or {CONVENTIONAL[-1]}"
    names = _public(module)
    hint = f"Name what to serve, {target.place}:NAME; it has {_listed(names)}." if names else "It is empty."
    raise WrongTarget(f"{target.place} has nothing called {tried}. {hint}")


def _public(value: Any) -> list[str]:
    """Return names of `value` a person may have meant: its own before what it has imported."""
    names = [name for name in vars(value) if not name.startswith("_")] if hasattr(value, "__dict__") else []
    here = getattr(value, "__name__", None)
    kept = [name for name in names if not isinstance(vars(value)[name], ModuleType)]
    return sorted(kept, key=lambda name: getattr(vars(value)[name], "__module__", here) != here)


def _listed(names: Sequence[str] | Iterable[str]) -> str:
    every = list(names)
    more = f" and {len(every) - _MOST_NAMES} more" if len(every) > _MOST_NAMES else ""
    return ", ".join(every[:_MOST_NAMES]) + more


def _article(value: object) -> str:
    name = type(value).__name__
    return f"{'an' if name[:1].lower() in 'aeiou' else 'a'} {name}"
