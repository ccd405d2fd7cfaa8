"""Attributes that are made when they are first asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

__all__ = ["lazy"]

T = TypeVar("T")


class lazy(Generic[T]):  # noqa: N801  a decorator, used like `property`
    """A method that becomes an attribute with its result at the first access; it can be set and deleted
    like any.

    `functools.cached_property` does the same but takes a lock for it on Python 3.11, shared by all instances.
    Owned by the thread that owns the instance.
    """

    def __init__(self, make: Callable[[Any], T]) -> None:
        self._make = make
        self.__doc__ = make.__doc__
        self._name = make.__name__

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...
    @overload
    def __get__(self, instance: object, owner: type) -> T: ...
    def __get__(self, instance: object | None, owner: type) -> T | Self:
        if instance is None:
            return self
        value = self._make(instance)
        setattr(instance, self._name, value)
        return value

    if TYPE_CHECKING:

        def __set__(self, instance: object, value: T) -> None: ...
