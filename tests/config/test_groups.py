"""What groups of settings are made of. What the house's own groups do with it: `test_settings.py`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import pytest

from kirsch.config.errors import ConfigError, UnknownKeyError
from kirsch.config.groups import FILE, FIRST, SETTINGS, TIME, Settings, setting


def test_a_group_is_made_of_settings_that_are_registered(monkeypatch: pytest.MonkeyPatch) -> None:
    from kirsch.config import groups
    from kirsch.config.registry import Registry

    registry = Registry()
    monkeypatch.setattr(groups, "SETTINGS", registry)

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Mill(Settings):
        namespace: ClassVar[str] = "mill"
        stones: float = setting(
            "mill.stones_turn",
            TIME,
            "How long they turn.",
            ("others", "1 s"),
            default=2.0,
            zero="never",
            starts="at dawn",
            resets="at noon",
        )
        plan: str | None = setting("mill.plan", FILE, "Where it is drawn.", default=None, secret=True)

        def _check_together(self) -> None:
            if self.plan and not self.stones:
                raise ConfigError("a plan needs stones")

    assert registry.names() == ("mill.stones_turn", "mill.plan")
    assert registry.get("mill.stones_turn").since == FIRST
    assert Mill.settings()["stones"].precedents == (("others", "1 s"),)
    text: Any = "1min"
    assert Mill(stones=text).to_mapping() == {"mill.stones_turn": 60.0, "mill.plan": None}
    assert Mill.from_mapping({"mill.stones_turn": 3, "server.threads": "no number"}) == Mill(stones=3.0)
    assert "hidden" not in repr(Mill(plan="hidden"))
    with pytest.raises(ConfigError, match="a plan needs stones"):
        Mill(stones=0.0, plan="p")
    with pytest.raises(UnknownKeyError, match=r"mill\.stone"):
        Mill.from_mapping({"mill.stone": 1})


def test_the_registry_of_the_house_is_one() -> None:
    from kirsch.config import settings

    assert settings.SETTINGS is SETTINGS
