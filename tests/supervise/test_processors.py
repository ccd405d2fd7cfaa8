from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from kirsch.supervise.processors import processors

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("quota", "count"),
    [
        ("max 100000", 8),
        ("200000 100000", 2),
        ("150000 100000", 2),
        ("50000 100000", 1),
        ("9900000 100000", 8),
        ("0 100000", 1),
        ("1 0", 8),
        ("", 8),
    ],
)
def test_a_container_counts_what_it_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quota: str, count: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)
    path = tmp_path / "cpu.max"
    path.write_text(quota)
    assert processors(path) == count


def test_without_containers_it_is_what_the_process_may_run_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 3}, raising=False)
    assert processors(tmp_path / "gone") == 2
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 5)
    assert processors(tmp_path / "gone") == 5
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert processors(tmp_path / "gone") == 1
