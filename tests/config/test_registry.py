"""The registry: one place for each setting, and helpful errors for what is not in it."""

from __future__ import annotations

from typing import Any

import pytest

from kirsch.config.errors import ConfigError, UnknownKeyError
from kirsch.config.kinds import Duration, Integer, Kind, Maybe, Text
from kirsch.config.registry import Registry, Setting


def setting(name: str, kind: Kind[Any] | None = None, default: Any = 1, **more: Any) -> Setting:
    more = {"help": "A thing.", "since": "0.1.0", **more}
    return Setting(name=name, kind=kind or Integer(), default=default, **more)


@pytest.fixture
def registry() -> Registry:
    registry = Registry()
    for name in ("server.threads", "server.tls.key", "log.screen", "engine.autoreload.on"):
        registry.add(setting(name))
    return registry


def test_a_setting_knows_its_namespace_unit_and_variable() -> None:
    made = setting("server.head_timeout", Duration(), 20.0, zero="z", starts="s", resets="r")
    assert made.namespace == "server"
    assert made.unit == "seconds"
    assert made.variable == "KIRSCH_SERVER_HEAD_TIMEOUT"


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"help": "no full stop"}, "sentence"),
        ({"kind": Duration(), "default": 1.0}, "clock"),
        ({"kind": Maybe(Duration()), "default": None}, "clock"),
        ({"kind": Duration(), "default": 1.0, "starts": "s", "resets": "r"}, "zero"),
        ({"kind": Integer(5), "default": 1}, "must be"),
        ({"kind": Maybe(Text()), "default": ""}, "form"),
    ],
)
def test_a_setting_that_says_too_little_or_contradicts_itself_cannot_be_made(
    more: dict[str, Any], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        setting("server.x", **more)


def test_a_refused_value_names_the_key_the_value_and_what_is_expected() -> None:
    with pytest.raises(ConfigError) as caught:
        setting("server.threads").read("four")
    assert str(caught.value) == (
        "server.threads: must be a whole number, 0 or more, not 'four' (str). Write the number without "
        "quotes."
    )
    with pytest.raises(ConfigError, match=r"^server\.threads: must be a whole number"):
        setting("server.threads").parse("four")


def test_accepted_values_come_back_in_their_form() -> None:
    assert setting("server.threads").read(4) == 4
    assert setting("server.threads").parse("4") == 4


def test_a_refused_secret_is_not_shown() -> None:
    with pytest.raises(ConfigError) as caught:
        setting("server.password", Text(), "", secret=True).read("hun\nter2")
    assert "hun" not in str(caught.value)
    assert "server.password" in str(caught.value)


def test_a_name_is_registered_once(registry: Registry) -> None:
    with pytest.raises(ValueError, match="already registered"):
        registry.add(setting("server.threads"))


def test_two_names_may_not_share_a_variable(registry: Registry) -> None:
    with pytest.raises(ValueError, match=r"already registered, as server\.tls\.key"):
        registry.add(setting("server.tls_key"))
    assert "server.tls_key" not in registry


def test_settings_are_found_by_name_and_by_variable(registry: Registry) -> None:
    assert registry.get("log.screen").name == "log.screen"
    assert registry.by_variable("KIRSCH_SERVER_TLS_KEY").name == "server.tls.key"
    assert "log.screen" in registry
    assert "log.file" not in registry
    assert len(registry) == 4


def test_settings_come_in_the_order_they_were_added(registry: Registry) -> None:
    assert registry.names() == ("server.threads", "server.tls.key", "log.screen", "engine.autoreload.on")
    assert registry.namespaces() == ("server", "log", "engine")
    assert [each.name for each in registry.namespace("server")] == ["server.threads", "server.tls.key"]
    assert [each.name for each in registry] == list(registry.names())


@pytest.mark.parametrize(
    ("name", "close"),
    [
        ("server.thread", "server.threads"),
        ("server.tls.kye", "server.tls.key"),
        ("server.Threads", "server.threads"),
        ("sever.threads", "server.threads"),
        ("log.scren", "log.screen"),
        ("server.zzzzzz", ""),
        ("zzz", ""),
    ],
)
def test_the_nearest_name_is_looked_for_in_the_own_namespace_first(
    registry: Registry, name: str, close: str
) -> None:
    assert registry.nearest(name) == close


def test_an_unknown_name_is_answered_with_the_nearest_or_all_of_its_namespace(registry: Registry) -> None:
    with pytest.raises(UnknownKeyError) as caught:
        registry.get("server.thread")
    assert str(caught.value) == "server.thread: no such setting. Did you mean server.threads?"
    with pytest.raises(UnknownKeyError) as caught:
        registry.get("log.zzzzzz")
    assert str(caught.value) == "log.zzzzzz: no such setting. The settings of log are log.screen."
    with pytest.raises(UnknownKeyError) as caught:
        registry.get("zzz.q")
    assert str(caught.value) == "zzz.q: no such setting."


def test_an_unknown_variable_is_answered_with_the_nearest(registry: Registry) -> None:
    with pytest.raises(UnknownKeyError, match=r"Did you mean KIRSCH_SERVER_THREADS\?"):
        registry.by_variable("KIRSCH_SERVER_THREAD")
    with pytest.raises(UnknownKeyError, match="Remove it"):
        registry.by_variable("QQQQQQ")
