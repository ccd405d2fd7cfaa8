"""What makes an object a page: `expose`, and `popargs` for objects in the middle of a path."""

from __future__ import annotations

from types import MethodType
from typing import TYPE_CHECKING, Any, TypeVar, overload

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["Aliased", "PopArgs", "expose", "popargs"]

F = TypeVar("F")


class Aliased:
    """A function in a class body that shall have more than one name there.

    When the class is made, it puts the function itself under its own name and under every alias, and is gone.
    Until then it passes everything on to the function, so that decorators above it work.
    """

    def __init__(self, function: Callable[..., Any], aliases: Sequence[str]) -> None:
        object.__setattr__(self, "_function", function)
        object.__setattr__(self, "_aliases", tuple(alias.replace(".", "_") for alias in aliases))

    def __set_name__(self, owner: type, name: str) -> None:
        for each in (name, *self._aliases):
            setattr(owner, each, self._function)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._function, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._function, name, value)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function."""
        return self._function(*args, **kwargs)

    def __get__(self, instance: object | None, owner: type | None = None) -> Any:
        return self._function if instance is None else MethodType(self._function, instance)


@overload
def expose(func: str | Sequence[str] | None = None, alias: None = None) -> Callable[[F], F]: ...
@overload
def expose(func: None = None, *, alias: str | Sequence[str]) -> Callable[[F], F]: ...
@overload
def expose(func: F, alias: str | Sequence[str] | None = None) -> F: ...
def expose(func: Any = None, alias: str | Sequence[str] | None = None) -> Any:
    """Make a function, a method or a class a page, in any of the forms.

    `@expose`, `@expose()`, `@expose("other")`, `@expose(["one", "two"])`, `@expose(alias="other")`,
    `expose(function, "other")`. It sets the attribute `exposed`.

    Parameters:
        func: what is exposed, or in the decorator's place its aliases.
        alias: other names the page has; dots in them become underscores. They come to be when the class is
            made in whose body the function stands, so `expose` with aliases belongs there, below decorators
            that wrap.

    Raises TypeError for aliases of a class, whose other names can simply be assigned.
    """
    if func is None or isinstance(func, (str, list, tuple)):
        aliases = alias if func is None else func
        return lambda function: expose(function, aliases)
    func.exposed = True
    if alias is None or alias == []:
        return func
    if isinstance(func, type):
        raise TypeError(
            f"aliases are for functions; assign the class to another name: other = {func.__name__}"
        )
    return Aliased(func, [alias] if isinstance(alias, str) else alias)


class PopArgs:
    """Takes segments out of a path and turns them into parameters. Made by `popargs`.

    As a decorator of a class it becomes its `_cp_dispatch`; it can also be assigned to that.
    """

    def __init__(self, args: tuple[str, ...], handler: Any, node: Any = None) -> None:
        self.args = args
        """Names of the parameters, in order of the segments."""
        self.handler = handler
        self._node = node

    def __get__(self, instance: object | None, owner: type | None = None) -> PopArgs:
        return self if instance is None else PopArgs(self.args, self.handler, instance)

    def __call__(self, cls: F) -> F:
        """Make this the dispatch method of a class, and return the class."""
        cls._cp_dispatch = self  # type: ignore[attr-defined]  # any class may carry one
        return cls

    def pop(self, vpath: list[str]) -> tuple[dict[str, str], Any]:
        """Take segments off the start of `vpath`; return parameters for the request and the next object.

        With a handler that can be called it is called with them and they are not for the request.
        """
        taken: dict[str, str] = {}
        for name in self.args:
            if not vpath:
                break
            taken[name] = vpath.pop(0)
        if self.handler is None:
            return taken, self._node
        if callable(self.handler):
            return {}, self.handler(**taken)
        return taken, self.handler


def popargs(*names: str, handler: Any = None) -> PopArgs:
    """Return a class decorator that makes segments parameters: `/notes/5/edit` calls `Note.edit(id="5")`.

    Parameters:
        names: names of the parameters, in order; fewer segments give fewer parameters.
        handler: an object the path goes on at; or a callable, called with the parameters by name, that
            returns it. None to go on at the instance itself.

    Attributes that are exposed win over parameters.
    """
    return PopArgs(names, handler)
