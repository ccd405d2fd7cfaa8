"""Values of `.conf` files: Python literals, evaluated without running anything.

Plain configuration may hold constants, tuples, lists, dicts and sets of them, a sign before a number, and `+`
and `*` between literals. Configuration of programs written for CherryPy may also name Python objects, which
means importing modules and calling what is in them; that door is opened by `allow_references` alone, and
whoever may write such a file may run code in the process.
"""

from __future__ import annotations

import ast
import builtins
import importlib
import operator
from types import ModuleType
from typing import TYPE_CHECKING, Any

from kirsch.config.errors import ConfigError, shown

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["evaluate"]

LONGEST_TEXT = 65_536
"""Characters in one value. CPython warns that its parser may crash on far longer expressions."""

LONGEST_RESULT = 1_000_000
"""Items in a product: `"x" * 10000000000` is a slip, not a setting."""

LONGEST_NUMBER = 4096
"""Bits in a product of whole numbers."""

_MEANT = {"true": "True", "on": "True", "yes": "True", "false": "False", "off": "False", "no": "False"}
_MEANT |= {"none": "None", "null": "None"}


def evaluate(text: str, *, allow_references: bool = False) -> Any:
    """Return the value of the Python literal `text`; raises ConfigError, without a place, for anything else.

    Parameters:
        text: one expression; white space and line ends around it are dropped.
        allow_references: whether names, attributes, subscripts and calls are followed: modules are imported,
            what they hold is read and called, and whatever that raises becomes the cause of the ConfigError.
    """
    source = text.strip()
    if not source:
        raise ConfigError("has no value", hint='Write "" for an empty text, None for nothing.')
    if len(source) > LONGEST_TEXT:
        raise ConfigError(f"has a value of {len(source)} characters; {LONGEST_TEXT} are read at most")
    try:
        # In brackets a value may go on over several lines, as indented lines of a .conf file do.
        tree = ast.parse(f"({source}\n)", mode="eval").body
        return _follow(tree) if allow_references else _Literals().build(tree)
    except ConfigError as error:
        raise ConfigError(
            f"the value {_cut(source)} cannot be read: {error.problem}", hint=error.hint
        ) from error
    except (SyntaxError, ValueError) as error:
        # ValueError: null bytes and lone surrogates.
        problem = f"the value {_cut(source)} is not a Python literal"
        raise ConfigError(problem, hint=_quoted(source)) from error
    except (RecursionError, MemoryError) as error:
        raise ConfigError(f"the value {_cut(source)} is nested too deeply") from error


def _follow(tree: ast.expr) -> Any:
    try:
        return _References().build(tree)
    except (ConfigError, RecursionError, MemoryError):
        raise
    except (
        Exception
    ) as error:  # a named object may raise anything when it is called, and the operator must know where
        raise ConfigError(f"{type(error).__name__}: {error}") from error


def _cut(source: str) -> str:
    return shown(source).removesuffix(" (str)")


def _quoted(source: str) -> str:
    meant = _MEANT.get(source.lower())
    if meant is not None:
        return f'Write {meant}, or "{source}" with quotes if text is meant.'
    if "\n" in source:
        return "Put quotes around text, and brackets around what goes on over several lines."
    if source[0] in "\"'" or source[-1] in "\"'":
        return "Check that quotes and brackets are closed, and that backslashes in text are doubled."
    quote = "'" if '"' in source else '"'
    return f"If it is text, put quotes around it: {quote}{source[:60]}{quote}."


class _Literals:
    """Builds the value of an expression tree: a class of nodes is built by the method of its name."""

    def build(self, node: ast.AST) -> Any:
        """Return the value of `node`; raises ConfigError if it is not a literal."""
        method = getattr(self, f"_{type(node).__name__.lower()}", None)
        if method is None:
            raise self.refusal(node)
        return method(node)

    def refusal(self, node: ast.AST) -> ConfigError:
        """Return the error that expressions such as `node` are not literals."""
        source = ast.unparse(node)
        return ConfigError(f"{_cut(source)} is not a Python literal", hint=_quoted(source))

    def _constant(self, node: ast.Constant) -> Any:
        return node.value

    def _list(self, node: ast.List | ast.Tuple | ast.Set) -> list[Any]:
        return [self.build(item) for item in node.elts]

    def _tuple(self, node: ast.Tuple) -> Any:
        return tuple(self._list(node))

    def _set(self, node: ast.Set) -> Any:
        return _compute(set, self._list(node))

    def _dict(self, node: ast.Dict) -> Any:
        pairs = []
        for key, value in zip(node.keys, node.values, strict=True):
            if key is None:
                raise ConfigError("a dict cannot be unpacked into another here")
            pairs.append((self.build(key), self.build(value)))
        return _compute(dict, pairs)

    def _unaryop(self, node: ast.UnaryOp) -> Any:
        if not isinstance(node.op, (ast.UAdd, ast.USub)):
            raise self.refusal(node)
        return _compute(
            operator.neg if isinstance(node.op, ast.USub) else operator.pos, self.build(node.operand)
        )

    def _binop(self, node: ast.BinOp) -> Any:
        if not isinstance(node.op, (ast.Add, ast.Mult)):
            raise self.refusal(node)
        left, right = self.build(node.left), self.build(node.right)
        if isinstance(node.op, ast.Add):
            return _compute(operator.add, left, right)
        _refuse_long(left, right)
        return _compute(operator.mul, left, right)


class _References(_Literals):
    """Follows names too: whoever may write the file may run code in the process."""

    def _name(self, node: ast.Name) -> Any:
        try:
            return importlib.import_module(node.id)
        except ImportError as error:
            # A module that exists but fails on an import of its own is that failure, not a missing name.
            if error.name != node.id:
                raise
        try:
            return getattr(builtins, node.id)
        except AttributeError:
            raise ConfigError(
                f"there is no module and no builtin called {node.id!r}", hint=_quoted(node.id)
            ) from None

    def _attribute(self, node: ast.Attribute) -> Any:
        owner = self.build(node.value)
        try:
            return getattr(owner, node.attr)
        except AttributeError:
            if not isinstance(owner, ModuleType):
                raise
        return importlib.import_module(f"{owner.__name__}.{node.attr}")

    def _subscript(self, node: ast.Subscript) -> Any:
        return self.build(node.value)[self.build(node.slice)]

    def _slice(self, node: ast.Slice) -> Any:
        return slice(
            *(None if part is None else self.build(part) for part in (node.lower, node.upper, node.step))
        )

    def _call(self, node: ast.Call) -> Any:
        positional: list[Any] = []
        for argument in node.args:
            if isinstance(argument, ast.Starred):
                positional.extend(self.build(argument.value))
            else:
                positional.append(self.build(argument))
        named: dict[str, Any] = {}
        for keyword in node.keywords:
            named.update(
                self.build(keyword.value) if keyword.arg is None else {keyword.arg: self.build(keyword.value)}
            )
        return self.build(node.func)(*positional, **named)

    def _unaryop(self, node: ast.UnaryOp) -> Any:
        if isinstance(node.op, ast.Not):
            return not self.build(node.operand)
        if isinstance(node.op, ast.Invert):
            return operator.invert(self.build(node.operand))
        return super()._unaryop(node)


def _compute(function: Callable[..., Any], *values: Any) -> Any:
    try:
        return function(*values)
    except (TypeError, ArithmeticError) as error:
        raise ConfigError(str(error)) from error


def _refuse_long(left: Any, right: Any) -> None:
    """Raise ConfigError when `left * right` would be longer than anybody can mean."""
    for sequence, times in ((left, right), (right, left)):
        repeated = isinstance(sequence, (str, bytes, tuple, list)) and isinstance(times, int)
        if repeated and len(sequence) * times > LONGEST_RESULT:
            raise ConfigError(f"a product of more than {LONGEST_RESULT} items")
    both = isinstance(left, int) and isinstance(right, int)
    if both and left.bit_length() + right.bit_length() > LONGEST_NUMBER:
        raise ConfigError(f"a product of more than {LONGEST_NUMBER} bits")
