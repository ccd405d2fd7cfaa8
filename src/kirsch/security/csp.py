"""Content Security Policies as objects (W3C CSP Level 3): what is misspelt is refused, not sent.

    CSP(default_src="self", script_src=(NONCE, "strict-dynamic"), object_src="none")

A browser ignores what it does not understand, so a slip in a policy is a hole without a sign. Every directive
and every source is therefore checked when a policy is made.
"""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING, Any, Final, Literal

from kirsch.config import nearest
from kirsch.web.context import request as current_request

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from kirsch.web.request import Request

__all__ = ["CSP", "NONCE", "CSPError", "digest", "nonce"]

NONCE: Final = "'nonce'"
"""A source that stands for the nonce of each response; see `nonce`."""

_KEYWORDS: Final = frozenset(
    {
        *("self", "none", "unsafe-inline", "unsafe-eval", "unsafe-hashes", "strict-dynamic"),
        *("report-sample", "wasm-unsafe-eval", "inline-speculation-rules", "nonce"),
    }
)
_SOURCES: Final = frozenset(
    {
        *("default-src", "script-src", "script-src-elem", "script-src-attr", "style-src", "style-src-elem"),
        *("style-src-attr", "img-src", "font-src", "connect-src", "media-src", "object-src", "frame-src"),
        *("child-src", "worker-src", "manifest-src", "base-uri", "form-action", "frame-ancestors"),
    }
)
"""Directives whose values are lists of sources (CSP3 6.1, 6.3, 6.4)."""

_NO_VALUE: Final = frozenset({"upgrade-insecure-requests", "block-all-mixed-content"})
_OTHERS: Final = frozenset(
    {"sandbox", "report-uri", "report-to", "require-trusted-types-for", "trusted-types", *_NO_VALUE}
)
_KNOWN: Final = _SOURCES | _OTHERS
_SCRIPTS: Final = ("script-src-elem", "script-src", "default-src")

_SANDBOX: Final = re.compile(r"allow-[a-z]+(?:-[a-z]+)*")
# CSP3 2.3.1: host-source = [ scheme-part "://" ] host-part [ ":" port-part ] [ path-part ]
_HOST: Final = re.compile(
    r"(?:[A-Za-z][A-Za-z0-9+.-]*://)?(?:\*|(?:\*\.)?[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*|\[[0-9A-Fa-f:.]+\])"
    r"(?::(?:[0-9]{1,5}|\*))?(?:/[!$&'()*+./0-9:=@A-Z_a-z~%-]*)?"
)
_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_HASH: Final = re.compile(r"'(sha256|sha384|sha512)-([A-Za-z0-9+/_-]+={0,2})'")
_HASH_BYTES: Final = {"sha256": 32, "sha384": 48, "sha512": 64}
_POLICY_NAME: Final = re.compile(r"[A-Za-z0-9#=_/@.%-]+")
_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]+")
_VISIBLE: Final = re.compile(r"[\x21-\x2b\x2d-\x3a\x3c-\x7e]+")
"""A value: no white space, no `,` and no `;`, which would end a policy or a directive."""


class CSPError(ValueError):
    """A policy that browsers would ignore or misread. The program that wrote it is at fault."""

    def __init__(self, directive: str, problem: str) -> None:
        super().__init__(f"Content-Security-Policy, {directive}: {problem}")
        self.directive = directive
        """The directive, as it was given."""


def digest(content: str | bytes, algorithm: str = "sha256") -> str:
    """Return the source that allows the inline script or style `content`: its hash (CSP3 2.3.1).

    Parameters:
        content: what stands between the tags, to the byte.
        algorithm: `sha256`, `sha384` or `sha512`. Raises ValueError for another.
    """
    if algorithm not in _HASH_BYTES:
        raise ValueError(f"browsers know the hashes {', '.join(_HASH_BYTES)}, not {algorithm!r}")
    import hashlib  # late, as `secrets`: most programs that import this never need them

    data = content.encode() if isinstance(content, str) else content
    return f"'{algorithm}-{base64.b64encode(hashlib.new(algorithm, data).digest()).decode()}'"


def nonce(request: Request | None = None) -> str:
    """Return the nonce of a response: 144 random bits in base64, the same each time for one request.

    Write it into `<script nonce="...">`; the policy, if it has a `NONCE`, allows it. It is also
    `request.csp_nonce` from then on.

    Parameters:
        request: the request; that which is being answered if None. Raises NoRequestError where there is none.
    """
    here: Any = current_request if request is None else request
    try:
        found: str = here.csp_nonce
    except AttributeError:
        import secrets

        found = here.csp_nonce = secrets.token_urlsafe(18)
    return found


class CSP:
    """A policy. Never changes once made.

    Parameters:
        directives: values by directive, `_` for `-`: text with one or more sources, or several of them; True
            for a directive without a value; None or False leaves it out. Keywords get their quotes:
            `script_src="self"` is `'self'`.

    `str(policy)` is the value of the field, unless it has a `NONCE`: `text` takes that. Raises CSPError.
    """

    __slots__ = ("_parts", "directives", "needs_nonce")

    def __init__(self, **directives: str | bool | Iterable[str] | None) -> None:
        checked: dict[str, tuple[str, ...]] = {}
        for key, value in directives.items():
            if value is None or value is False:
                continue
            name = key.replace("_", "-").lower()
            checked[name] = _checked(name, value)
        self.directives: Mapping[str, tuple[str, ...]] = checked
        """Values by directive, as they are sent."""
        self._check_dynamic()
        whole = "; ".join(" ".join((name, *values)) for name, values in checked.items())
        self._parts = whole.split(NONCE)
        self.needs_nonce = len(self._parts) > 1
        """Whether each response needs another value."""

    @classmethod
    def parse(cls, text: str) -> CSP:
        """Return the policy that `text`, the value of a field, writes. Raises CSPError.

        A directive that comes twice is refused: browsers take the first and drop the other.
        """
        directives: dict[str, Any] = {}
        for part in text.split(";"):
            words = part.split()
            if not words:
                continue
            name = words[0].lower()
            if name in directives:
                raise CSPError(name, "it comes twice; browsers drop the second. Write one with all sources")
            directives[name] = words[1:] or (True if name in _NO_VALUE or name == "sandbox" else ())
        return cls(**directives)

    def replace(self, **directives: str | bool | Iterable[str] | None) -> CSP:
        """Return the policy with other values for some directives; None takes one out. Raises CSPError."""
        own: dict[str, Any] = {name: values or True for name, values in self.directives.items()}
        return CSP(**{**own, **{name.replace("_", "-"): value for name, value in directives.items()}})

    def text(self, nonce: str = "") -> str:
        """Return the value of the field with `nonce` where `NONCE` stands; ValueError if that is missing."""
        if not self.needs_nonce:
            return self._parts[0]
        if not nonce:
            raise ValueError("this policy has a nonce, which is another for each response: pass it")
        return f"'nonce-{nonce}'".join(self._parts)

    def _check_dynamic(self) -> None:
        for name in _SCRIPTS:
            values = self.directives.get(name)
            if (
                values is not None
                and "'strict-dynamic'" in values
                and not any(value == NONCE or _HASH.fullmatch(value) for value in values)
            ):
                raise CSPError(
                    name,
                    "'strict-dynamic' trusts what a trusted script loads, and no script is trusted: add "
                    "NONCE or a hash",
                )

    def __str__(self) -> str:
        return self.text()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, CSP) and self.directives == other.directives

    def __hash__(self) -> int:
        return hash(tuple(self.directives.items()))

    def __repr__(self) -> str:
        return f"<CSP {NONCE.join(self._parts)}>"


def _checked(name: str, value: str | Literal[True] | Iterable[str]) -> tuple[str, ...]:
    """Return the values of a directive as they are sent."""
    if name not in _KNOWN:
        close = nearest(name, tuple(sorted(_KNOWN)))
        raise CSPError(
            name, f"there is no such directive; {f'did you mean {close}?' if close else 'see CSP3'}"
        )
    if value is True:
        if name in _NO_VALUE or name == "sandbox":
            return ()
        raise CSPError(name, "it needs a value")
    words = value.split() if isinstance(value, str) else list(value)
    if name in _NO_VALUE:
        raise CSPError(name, "it has no value: write True")
    if not words:
        raise CSPError(name, "it has no value; to allow nothing write 'none'")
    found = tuple(_word(name, word) for word in words)
    if len(found) > 1 and "'none'" in found:
        raise CSPError(name, "'none' stands alone, or it means nothing")
    return found


def _word(name: str, word: str) -> str:
    if _VISIBLE.fullmatch(word) is None:
        raise CSPError(
            name,
            f"{word!a} is no value: it must be visible ASCII without spaces, ';' and ',', which end what is "
            "written; percent-encode them",
        )
    if name in _SOURCES:
        return _source(name, word)
    if name == "sandbox" and _SANDBOX.fullmatch(word) is None:
        raise CSPError(name, f"{word!a} is no permission; they are written allow-...")
    if name == "report-to" and _TOKEN.fullmatch(word) is None:
        raise CSPError(name, f"{word!a} is not the name of an endpoint")
    if name == "require-trusted-types-for":
        if word.strip("'") != "script":
            raise CSPError(name, "the only sink group is 'script'")
        return "'script'"
    if name == "trusted-types":
        bare = word.strip("'")
        if bare in {"none", "allow-duplicates"}:
            return f"'{bare}'"
        if word != "*" and _POLICY_NAME.fullmatch(word) is None:
            raise CSPError(name, f"{word!a} is not the name of a policy")
    return word


def _source(name: str, word: str) -> str:
    bare = word[1:-1] if len(word) > 1 and word[0] == word[-1] == "'" else word
    if bare.lower() in _KEYWORDS:
        return f"'{bare.lower()}'"
    if bare.lower().startswith("nonce-"):
        raise CSPError(name, "a nonce that stays the same is none; write NONCE for one per response")
    quoted = f"'{bare}'"
    match = _HASH.fullmatch(quoted)
    if match is not None:
        try:
            size = len(base64.b64decode(match[2].replace("-", "+").replace("_", "/"), validate=True))
        except ValueError:
            size = -1
        if size != _HASH_BYTES[match[1]]:
            raise CSPError(name, f"{word!a} is not a {match[1]} hash in base64; `digest` makes them")
        return quoted
    if "'" in word:
        close = nearest(bare, tuple(sorted(_KEYWORDS)))
        raise CSPError(name, f"{word!a} is no keyword{f'; did you mean {close!r}?' if close else ''}")
    if word == "*" or _SCHEME.fullmatch(word) or _HOST.fullmatch(word):
        return word
    raise CSPError(name, f"{word!a} is neither a keyword, a scheme (https:), a host nor a URL")
