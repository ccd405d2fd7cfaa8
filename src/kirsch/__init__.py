"""Kirsch: an object-oriented HTTP framework and application server that looks after itself in production."""

from kirsch._version import __version__

__all__ = ["__version__"]
