"""Answers at once, after a while, and piece by piece; each answer says which request it is for."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import kirsch

if TYPE_CHECKING:
    from collections.abc import Iterator


class Root:
    @kirsch.expose
    def fast(self, n: str) -> str:
        return f"fast {n}"

    @kirsch.expose
    def slow(self, n: str) -> str:
        time.sleep(0.03)
        return f"slow {n}"

    @kirsch.expose
    def stream(self, n: str) -> Iterator[str]:
        kirsch.response.stream = True

        def pieces() -> Iterator[str]:
            for piece in ("str", "eam", f" {n}"):
                time.sleep(0.005)
                yield piece

        return pieces()
