"""The object hello on Kirsch, and a sleeping neighbour for the sleepers run."""

from __future__ import annotations

import time

import kirsch


class Root:
    @kirsch.expose
    def index(self, n: str = "") -> str:  # noqa: ARG002  the varied load sends a parameter
        return "Hello, world!"

    @kirsch.expose
    def sleep(self, n: str = "") -> str:  # noqa: ARG002  the varied load sends a parameter
        time.sleep(0.020)
        return "Slept well..."
