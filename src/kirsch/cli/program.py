"""From what a target names to what the server serves.

How a root of pages and a WSGI callable are told apart, in this order:

1. An `Application` or a `Tree` is what it is.
2. A class with pages (a member whose `exposed` is true, `_cp_dispatch`, or `exposed` itself) is a root class;
   one object of it is made. A class without pages is only served when it is a WSGI callable in the shape of a
   class (PEP 3333, "The Application/Framework Side"): made with (environ, start_response), and iterable.
3. An object with pages of its own is a root, even if it can be called: `__call__` may be one of its pages.
4. What can be called with two positional arguments is a WSGI callable: functions, Flask, Django, Falcon.
5. An object whose attributes lead to pages, some levels down, is a root.

Only what lies in the `__dict__` of objects and classes is looked at, so no property of the program runs.
"""

from __future__ import annotations

import inspect
import sys
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any

from kirsch.cli.errors import Failure, WrongTarget
from kirsch.cli.face import face
from kirsch.cli.target import calling

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from kirsch.http.exchange import Gateway
    from kirsch.web import Application, Site, Tree

__all__ = ["Program", "make_program"]

_DEPTH = 5
"""Levels of attributes that are searched for pages below an object without any of its own."""

_SCALARS = (str, bytes, int, float, complex, bool, type(None), ModuleType)


@dataclass(frozen=True, slots=True)
class Program:
    """A program that can be served.

    Parameters:
        gateway: what the server calls.
        tree: its applications; None for a WSGI program.
    """

    gateway: Gateway
    tree: Tree | None = None

    @property
    def site(self) -> Site | None:
        """What its applications share; None for a WSGI program."""
        return None if self.tree is None else self.tree.site

    def merge(self, source: str, sections: Mapping[str, Mapping[str, Any]]) -> None:
        """Give each application the sections of its paths; other sections go to all applications.

        Parameters:
            source: the file they come from.
            sections: values by section; paths as seen from the root of the server.

        Raises Failure when there is nobody to read one.
        """
        if not sections:
            return
        if self.tree is None:
            raise Failure(
                f"{source}, [{next(iter(sections))}]: sections are for Kirsch applications; a WSGI program"
                " has none to read them. Keep the section [global] alone."
            )
        apps = {name: app for name, app in self.tree.apps.items() if hasattr(app, "merge")}
        for section, values in sections.items():
            if not section.startswith("/"):
                for app in apps.values():
                    app.merge({section: values})
                continue
            name = self.tree.script_name(section)
            if name not in apps:
                mounted = ", ".join(each or "/" for each in apps) or "nothing"
                raise Failure(f"{source}, [{section}]: no application lies at that path; there is {mounted}.")
            apps[name].merge({section.removeprefix(name) or "/": values})

    def configure(self, environment: str, values: Mapping[str, Any], *, chosen: bool) -> None:
        """Tell the applications the environment and the values that are theirs.

        Parameters:
            environment: its name.
            values: keys that somebody has said explicitly, without those of server and logs.
            chosen: whether the environment was said explicitly; else one that the program has set holds.
        """
        site = self.site
        if site is None:
            return
        if chosen or site.config.get("environment") is None:
            site.config.update({"environment": environment})
        if values:
            site.config.update({"global": dict(values)})


def make_program(value: Any, name: str) -> Program:
    """Return what serves `value`; see the module for how it is told what that is.

    Parameters:
        value: what the target names.
        name: how a person calls it, for errors.

    Raises WrongTarget for what cannot be served, with what to write instead.
    """
    web = sys.modules.get("kirsch.web")
    if web is not None and isinstance(value, web.Tree):
        return _tree_program(value)
    if web is not None and isinstance(value, web.Application):
        return _tree_program(_mounted(value))
    if isinstance(value, type):
        return _class_program(value, name)
    if _has_pages(value):
        return _root_program(value)
    if callable(value) and not isinstance(value, ModuleType):
        return _wsgi_program(value, name)
    if _leads_to_pages(value, _DEPTH, set()):
        return _root_program(value)
    raise WrongTarget(
        f"{name} is {_described(value)}: neither a WSGI callable, nor an application or tree of Kirsch, nor"
        " an object with exposed pages."
    )


def _class_program(cls: type, name: str) -> Program:
    if _has_pages(cls) or _leads_to_pages(cls, _DEPTH, set()):
        if not _takes(cls, 0):
            raise WrongTarget(
                f"{name} is a root class that needs arguments to make an object of; make one in the program"
                " and name that."
            )
        return _root_program(calling(cls, f"{name}()"))
    if hasattr(cls, "__iter__") and _takes(cls, 2) and not _takes(cls, 0):
        return _wsgi_program(cls, name)
    hint = f"To serve an object of it, write {name}()." if _takes(cls, 0) else "Name an object of it."
    raise WrongTarget(f"{name} is a class without exposed pages. {hint}")


def _wsgi_program(value: Any, name: str) -> Program:
    call = value if inspect.isroutine(value) else type(value).__call__
    if inspect.iscoroutinefunction(call) or inspect.isasyncgenfunction(call) or _is_asgi(value):
        raise WrongTarget(f"{name} is an ASGI program; Kirsch serves WSGI programs and its own.")
    if not _takes(value, 2):
        hint = f" If it makes the program, write {name}()." if _takes(value, 0) else ""
        raise WrongTarget(
            f"{name} is {_described(value)} that cannot be called with the two arguments of WSGI, environ and"
            f" start_response.{hint}"
        )
    from kirsch.server import WSGIGateway

    return Program(WSGIGateway(value))


def _is_asgi(value: Any) -> bool:
    return inspect.isfunction(value) and list(inspect.signature(value).parameters) == [
        "scope",
        "receive",
        "send",
    ]


def _root_program(root: Any) -> Program:
    from kirsch.web import Tree

    default = face()
    tree = Tree() if default is None else type(default.tree)(default.tree.site)
    tree.mount(root)
    return _tree_program(tree)


def _mounted(app: Application) -> Tree:
    from kirsch.web import Tree

    tree = Tree(app.site)
    tree.mount(app)
    return tree


def _tree_program(tree: Tree) -> Program:
    from kirsch.server import WSGIGateway
    from kirsch.web import Gateway

    if not tree.apps:
        raise Failure("The tree is empty: mount an application before it is served.")

    def graft(program: Any, script_name: str) -> Any:
        return WSGIGateway(program, script_name=script_name)

    return Program(Gateway(tree, graft, WSGIGateway.exchange_type), tree)


# --- looking at objects ---


def _members(value: object) -> Iterator[object]:
    """Yield what lies in the dicts of an object and its classes, functions out of their wrappers."""
    classes = value.__mro__ if isinstance(value, type) else type(value).__mro__
    dicts: list[Mapping[str, Any]] = [vars(cls) for cls in classes if cls is not object]
    own = None if isinstance(value, type) else _own_dict(value)
    if own is not None:
        dicts.insert(0, own)
    for each in dicts:
        for name, member in tuple(each.items()):
            if name == "__call__" or not name.startswith("__"):
                yield getattr(member, "__func__", member) if _is_wrapper(member) else member


def _own_dict(value: object) -> Mapping[str, Any] | None:
    try:
        found = object.__getattribute__(value, "__dict__")
    except AttributeError:
        return None
    return found if isinstance(found, dict) else None


def _is_wrapper(member: object) -> bool:
    return isinstance(member, (staticmethod, classmethod)) or inspect.ismethod(member)


def _is_exposed(value: object) -> bool:
    flag = inspect.getattr_static(value, "exposed", None)
    # Programs of old write 1; anything else under that name (a property, a method) is something else.
    return isinstance(flag, (bool, int)) and bool(flag)


def _has_pages(value: object) -> bool:
    """Whether `value`, an object or a class, has pages of its own."""
    if isinstance(value, _SCALARS):
        return False
    if _is_exposed(value) or inspect.getattr_static(value, "_cp_dispatch", None) is not None:
        return True
    return not inspect.isroutine(value) and any(map(_is_exposed, _members(value)))


def _leads_to_pages(value: object, depth: int, seen: set[int]) -> bool:
    """Whether attributes of `value` lead to an object with pages, at most `depth` levels down."""
    if (
        isinstance(value, (*_SCALARS, list, tuple, dict, set))
        or id(value) in seen
        or inspect.isroutine(value)
    ):
        return False
    seen.add(id(value))
    if _has_pages(value):
        return True
    return depth > 0 and any(_leads_to_pages(member, depth - 1, seen) for member in _members(value))


def _takes(value: Any, count: int) -> bool:
    """Whether `value` can be called with `count` positional arguments; True when nothing is known of it."""
    try:
        signature = inspect.signature(value)
    except (TypeError, ValueError):  # written in C, without a signature
        return True
    try:
        signature.bind(*[None] * count)
    except TypeError:
        return False
    return True


def _described(value: object) -> str:
    if isinstance(value, ModuleType):
        return "a module"
    if inspect.isroutine(value):
        return "a function"
    name = type(value).__qualname__
    return f"{'an' if name[:1].lower() in 'aeiou' else 'a'} {name}"
