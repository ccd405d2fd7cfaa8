"""Folders to serve."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.tools.folder import furnish

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder of one's own."""
    return furnish(tmp_path)


@pytest.fixture(scope="package")
def still(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for tests that change nothing in it."""
    return furnish(tmp_path_factory.mktemp("still"))
