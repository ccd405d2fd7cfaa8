"""`Config`: checking, environments, namespaces, and two of them side by side."""

from __future__ import annotations

import importlib
import io
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kirsch.config import Config, ConfigError, ServerSettings, UnknownKeyError

if TYPE_CHECKING:
    import pathlib


def named(text: str, name: str = "site.conf") -> io.StringIO:
    file = io.StringIO(text)
    file.name = name
    return file


def test_the_room_offers_what_it_names() -> None:
    # `kirsch.config` is the default configuration; the room of the same name is reached by importing from it.
    room = importlib.import_module("kirsch.config")

    for name in room.__all__:
        assert hasattr(room, name)
    assert list(room.__all__) == sorted(
        room.__all__, key=lambda name: (not name.isupper(), name[0].islower(), name)
    )


def test_it_reads_like_a_mapping() -> None:
    config = Config({"a.b": 1})
    config["c"] = 2
    assert dict(config) == {"a.b": 1, "c": 2}
    assert config.get("missing", 3) == 3
    assert "a.b" in config
    assert len(config) == 2
    del config["c"]
    assert list(config) == ["a.b"]
    with pytest.raises(KeyError):
        del config["c"]


def test_its_repr_keeps_values_to_itself() -> None:
    config = Config()
    config["server.tls.password"] = "hunter2"
    assert repr(config) == "<Config of 1 keys, generation 1>"


def test_two_of_them_know_nothing_of_each_other() -> None:
    first, second = Config(), Config()
    first.environments["mine"] = {"x": 1}
    first.update(environment="mine")
    assert first["x"] == 1
    assert "x" not in second
    with pytest.raises(UnknownKeyError):
        second.update(environment="mine")


def test_values_of_settings_are_brought_into_form() -> None:
    config = Config()
    config.update({"server.max_body": "10 MiB", "engine.autoreload.frequency": "500ms", "tools.x.on": 1})
    assert config["server.max_body"] == 10 * 2**20
    assert config["engine.autoreload.frequency"] == 0.5
    assert config["tools.x.on"] == 1
    assert ServerSettings.from_mapping(config).max_body == 10 * 2**20


@pytest.mark.parametrize(
    ("key", "hint"),
    [
        ("server.thread", "Did you mean server.threads?"),
        ("server.tls.cert", "Did you mean server.tls.certificate?"),
        ("log.scren", "Did you mean log.screen?"),
        ("engine.autoreload.frequncy", "Did you mean engine.autoreload.frequency?"),
        ("environment.x", "Did you mean environment?"),
        ("sever.threads", "Did you mean server.threads?"),
        ("enviroment", "Did you mean environment?"),
    ],
)
def test_a_slip_of_the_pen_is_an_error_with_the_nearest_name(key: str, hint: str) -> None:
    config = Config()
    with pytest.raises(UnknownKeyError) as caught:
        config.update({key: 1})
    assert caught.value.hint == hint
    assert len(config) == 0


@pytest.mark.parametrize(
    "key",
    [
        "tools.gzip.on",
        "request.dispatch",
        "engine.mine.on",
        "engine.SIGHUP",
        "mine",
        "sever.mine",
        "my.threads",
    ],
)
def test_other_keys_are_free(key: str) -> None:
    config = Config()
    config.update({key: object})
    assert config[key] is object


def test_a_namespace_somebody_handles_is_no_slip() -> None:
    config = Config()
    config.namespaces["sever"] = lambda key, value: None
    config.update({"sever.threads": "x"})
    assert config["sever.threads"] == "x"


def test_a_config_that_is_not_strict_takes_everything_as_it_is() -> None:
    config = Config(strict=False)
    config.update({"server.socket_port": 8080, "server.threads": "x"})
    assert config["server.threads"] == "x"


def test_an_error_names_file_section_key_and_value() -> None:
    with pytest.raises(ConfigError) as caught:
        Config().update(named("[global]\nserver.threads = 'four'\n"))
    assert str(caught.value).startswith(
        "site.conf, [global] server.threads: must be a whole number from 1 to 10000, not 'four' (str)."
    )


def test_an_update_that_is_refused_changes_and_tells_nothing() -> None:
    told: list[str] = []
    config = Config()
    config.namespaces["tools"] = lambda key, value: told.append(key)
    with pytest.raises(ConfigError):
        config.update({"tools.x.on": True, "server.threads": "four"})
    with pytest.raises(ConfigError):
        config.update({"tools.x.on": True, "environment": "prod"})
    assert (dict(config), config.generation, told) == ({}, 0, [])


def test_namespaces_are_told_what_changed_in_its_form() -> None:
    told: list[tuple[str, Any]] = []
    config = Config({"server.backlog": 5})
    config.namespaces["server"] = lambda key, value: told.append((key, value))
    config.update({"server.max_body": "1k"})
    config["server.threads"] = 4
    config.reset()
    assert told == [("max_body", 1024), ("threads", 4), ("backlog", 5)]


def test_explicit_keys_win_over_the_environment_in_whatever_order_they_come() -> None:
    first = Config({"log.screen": True})
    first.update({"environment": "production"})
    assert first.get("log.screen") is False
    first.update({"log.screen": True})
    assert first.get("log.screen") is True

    second = Config()
    second.update({"log.screen": True})
    second.update(environment="production")
    assert second["log.screen"] is True
    assert second["engine.autoreload.on"] is False

    third = Config()
    third.update({"log.screen": True, "environment": "production"})
    assert third["log.screen"] is True


def test_an_environment_tells_namespaces_its_values_too() -> None:
    told: dict[str, Any] = {}
    config = Config()
    config.namespaces["log"] = told.__setitem__
    config.update(environment="production")
    assert told == {"screen": False}


def test_an_unknown_environment_names_its_file() -> None:
    with pytest.raises(UnknownKeyError, match=r"^site\.conf, \[global\] environment: .*'production'"):
        Config().update(named("[global]\nenvironment = 'prodution'\n"))


def test_no_environment_is_no_environment() -> None:
    config = Config()
    config.update({"environment": None})
    assert dict(config) == {"environment": None}


def test_a_deleted_key_is_no_longer_explicit() -> None:
    config = Config()
    config["log.screen"] = True
    del config["log.screen"]
    config.update(environment="production")
    assert config["log.screen"] is False


def test_reset_goes_back_to_the_defaults() -> None:
    config = Config({"a.b": 1})
    config.update(named("[global]\na.b = 2\nc = 3\n[/x]\nd = 4\n"))
    config.reset()
    assert dict(config) == {"a.b": 1}
    assert (config.files, config.skipped) == ([], [])
    assert config.generation == 2


def test_defaults_are_checked_like_everything_else() -> None:
    with pytest.raises(ConfigError, match=r"server\.threads"):
        Config({"server.threads": 0})


def test_every_change_starts_a_new_generation() -> None:
    config = Config()
    seen = [config.generation]
    config["a"] = 1
    seen.append(config.generation)
    config.update(b=2)
    seen.append(config.generation)
    del config["a"]
    seen.append(config.generation)
    config.reset()
    seen.append(config.generation)
    assert seen == [0, 1, 2, 3, 4]


def test_a_file_is_remembered_and_its_other_sections_are_named(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "site.toml"
    path.write_text('[server]\nthreads = 4\n["/static"]\ntools.x.on = true\n', encoding="utf-8")
    config = Config()
    config.update(str(path))
    assert dict(config) == {"server.threads": 4}
    assert config.files == [str(path)]
    assert config.skipped == ["/static"]


def test_update_without_anything_changes_no_value() -> None:
    config = Config({"a": 1})
    config.update()
    config.update({})
    assert dict(config) == {"a": 1}


def test_keywords_stand_over_the_source() -> None:
    config = Config()
    config.update({"a": 1, "b": 1}, a=2)
    assert dict(config) == {"a": 2, "b": 1}


def test_variables_are_taken_over_and_hold_over_environments() -> None:
    config = Config()
    config.update(environment="production")
    config.update_from_variables({"KIRSCH_LOG_SCREEN": "on", "KIRSCH_X": "1"}, others={"KIRSCH_X"})
    assert config["log.screen"] is True
    with pytest.raises(ConfigError, match="KIRSCH_SERVER_THREADS"):
        config.update_from_variables({"KIRSCH_SERVER_THREADS": "x"})


def test_references_are_followed_only_when_the_config_allows_it() -> None:
    config = Config(allow_references=True)
    config.update(named("[global]\nrequest.kind = str\n"))
    assert config["request.kind"] is str
    with pytest.raises(ConfigError):
        Config().update(named("[global]\nrequest.kind = str\n"))


def test_a_handler_may_change_the_config_it_is_told_of() -> None:
    config = Config()
    config.namespaces["a"] = lambda key, value: config.update({f"b.{key}": value})
    config["a.k"] = 1
    assert dict(config) == {"a.k": 1, "b.k": 1}


@settings(max_examples=50)
@given(
    st.dictionaries(
        st.sampled_from(["server.threads", "server.bind", "log.screen", "environment", "x", "server.nope"])
        | st.text(max_size=6),
        st.none()
        | st.booleans()
        | st.integers()
        | st.text(max_size=6)
        | st.lists(st.text(max_size=3), max_size=2),
        max_size=4,
    )
)
def test_any_dict_is_taken_over_or_is_a_config_error(values: dict[str, Any]) -> None:
    config = Config()
    try:
        config.update(values)
    except ConfigError:
        assert len(config) == 0
