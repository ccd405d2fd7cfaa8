"""Shared by the tests of this room: texts that attack parsers, and how long one may take over 64 KiB of
them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import hypothesis
from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Callable

SIZE = 65536
BOUND = 1.0
"""Seconds of CPU time. Linear scanners need some milliseconds; quadratic ones need minutes."""

SHAPES = (
    "\\",
    '"',
    '"\\',
    '\\"',
    ",",
    ";",
    " ",
    "\t",
    ", ",
    "; ",
    '",',
    '";',
    "a=",
    "a;",
    ";a=",
    'a="',
    "=",
    "q=0.",
    ";q=1,",
    "%",
    "%4",
    "%41",
    "0",
    "9",
    "-",
    "1-,",
    "0-0,",
    ":",
    "::",
    "[",
    "/",
    "/../",
    "../",
    "/./",
    "%2e%2e/",
    "&",
    "&=",
    "a&",
    "W/",
    'W/"',
    '"a" ',
    "''",
    "*",
    "\xff",
    "\x00",
    "\r\n",
    "é",
)
"""What adversarial input repeats."""

anything = st.text(max_size=60)
latin = st.text(st.characters(max_codepoint=255), max_size=60)
wire = st.text(st.sampled_from(' \t,;="\\%/:*-W/abq019.[]&+\r\n\0\x7f\xe9'), max_size=40)
"""Text dense in the characters parsers care about."""
token = st.text(st.sampled_from("!#$%&'*+-.^_`|~09azAZ"), min_size=1, max_size=12)
quotable = st.text(
    st.one_of(st.just("\t"), st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f")),
    max_size=30,
).map(lambda text: "".join(char for char in text if not "\x7f" <= char < "\x80"))


def given(*arguments: Any, **keywords: Any) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give few examples, for a suite that runs on every save, and no deadline a busy machine would miss."""
    draw: Callable[..., Any] = hypothesis.given(*arguments, **keywords)

    def decorate(test: Callable[..., None]) -> Callable[..., None]:
        generated: Callable[..., None] = draw(test)
        return hypothesis.settings(max_examples=50, deadline=None)(generated)

    return decorate


def seconds(parse: Callable[[str], object], prefix: str = "", suffix: str = "") -> float:
    """Return the CPU time of the slowest of all shapes, repeated to 64 KiB between `prefix` and `suffix`."""
    slowest = 0.0
    for shape in SHAPES:
        text = prefix + shape * (SIZE // len(shape)) + suffix
        begun = time.thread_time()
        parse(text)
        slowest = max(slowest, time.thread_time() - begun)
    return slowest
