"""Merging: environments, paths, variables."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kirsch.config.errors import ConfigError, UnknownKeyError
from kirsch.config.merge import ENVIRONMENTS, environment, find, for_path, from_variables, merge
from kirsch.config.settings import SETTINGS

SECTIONS: dict[str, dict[str, Any]] = {
    "/": {"a": "root", "only": 1},
    "/x": {"a": "x"},
    "/x/y": {"b": "y"},
    "/x/y/": {"c": "slash"},
}


def test_the_environments_are_those_of_cherrypy() -> None:
    assert list(ENVIRONMENTS) == ["staging", "production", "embedded", "test_suite"]
    assert environment("production")["log.screen"] is False
    assert "log.screen" not in environment("staging")
    assert environment("staging")["request.show_tracebacks"] is False
    assert environment("test_suite")["request.show_tracebacks"] is True
    assert environment("embedded")["engine.SIGTERM"] is None
    assert all(each["engine.autoreload.on"] is False for each in ENVIRONMENTS.values())


def test_environments_cannot_be_changed_for_everybody() -> None:
    values: Any = environment("production")
    with pytest.raises(TypeError):
        values["log.screen"] = True


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("prodution", "Did you mean 'production'? There are staging"),
        ("zzz", "There are staging"),
        (3, "There are"),
    ],
)
def test_an_unknown_environment_is_an_error_with_the_nearest_name(name: object, hint: str) -> None:
    with pytest.raises(UnknownKeyError) as caught:
        environment(name)
    assert caught.value.hint.startswith(hint)
    assert caught.value.key == "environment"


def test_an_environment_of_ones_own_is_found() -> None:
    assert environment("mine", {"mine": {"a": 1}}) == {"a": 1}


def test_merging_puts_later_keys_over_earlier_ones_and_changes_neither() -> None:
    base = {"/": {"a": 1, "b": 1}, "/x": {"a": 1}}
    more = {"/": {"b": 2}, "/y": {"a": 2}}
    merged = merge(base, more)
    assert merged == {"/": {"a": 1, "b": 2}, "/x": {"a": 1}, "/y": {"a": 2}}
    merged["/y"]["a"] = merged["/x"]["a"] = 3
    assert base["/x"] == {"a": 1}
    assert more["/y"] == {"a": 2}


@pytest.mark.parametrize(
    ("path", "key", "value"),
    [
        ("/x/y/z", "a", "x"),
        ("/x/y/z", "b", "y"),
        ("/x/y/", "c", "slash"),
        ("/x/y", "c", None),
        ("/x/yy", "b", None),
        ("/other", "a", "root"),
        ("/", "a", "root"),
        ("", "a", "root"),
        ("relative", "a", "root"),
        ("/x/y", "only", 1),
        ("/x/y", "missing", None),
    ],
)
def test_find_walks_up_to_the_nearest_section_with_the_key(path: str, key: str, value: object) -> None:
    assert find(SECTIONS, path, key) == value


def test_find_returns_the_default_when_no_section_has_the_key() -> None:
    assert find({}, "/a", "k", default=7) == 7


def test_deeper_paths_hold_over_shallower_ones_and_those_over_global() -> None:
    general = {"a": "global", "g": 1}
    assert for_path(general, SECTIONS, "/x/y/") == {"a": "x", "g": 1, "only": 1, "b": "y", "c": "slash"}
    assert for_path(general, SECTIONS, "/q") == {"a": "root", "g": 1, "only": 1}
    assert for_path(general, {}, "/x") == general
    assert general == {"a": "global", "g": 1}


@given(st.text(alphabet="/ab.", max_size=12), st.sampled_from(["a", "b", "c", "only", "none"]))
def test_the_merged_configuration_of_a_path_agrees_with_find(path: str, key: str) -> None:
    assert for_path({}, SECTIONS, path).get(key) == find(SECTIONS, path, key)


def test_variables_set_settings_by_lookup_and_are_read_by_kind() -> None:
    variables = {
        "HOME": "/root",
        "KIRSCH": "x",
        "KIRSCH_SERVER_THREADS": "4",
        "KIRSCH_SERVER_TLS_CERTIFICATE": "c.pem",
        "KIRSCH_SERVER_NODELAY": "off",
        "KIRSCH_SERVER_BIND": "localhost:80, [::1]:80",
        "KIRSCH_ENVIRONMENT": "production",
        "KIRSCH_ENGINE_AUTORELOAD_ON": "yes",
        "KIRSCH_ELSEWHERE": "x",
    }
    assert from_variables(variables, SETTINGS, others={"KIRSCH_ELSEWHERE"}) == {
        "server.threads": 4,
        "server.tls.certificate": "c.pem",
        "server.nodelay": False,
        "server.bind": ("localhost:80", "[::1]:80"),
        "environment": "production",
        "engine.autoreload.on": True,
    }


def test_every_setting_can_be_set_by_its_variable() -> None:
    for setting in SETTINGS:
        text = "" if setting.default is None else setting.kind.show(setting.default)
        assert from_variables({setting.variable: text}, SETTINGS) == {setting.name: setting.default}


def test_an_unknown_variable_is_an_error_with_the_nearest() -> None:
    with pytest.raises(
        UnknownKeyError, match=r"^environment, KIRSCH_SERVER_THREAD: .*KIRSCH_SERVER_THREADS\?"
    ):
        from_variables({"KIRSCH_SERVER_THREAD": "4"}, SETTINGS)


def test_a_refused_variable_is_named_with_its_setting() -> None:
    with pytest.raises(
        ConfigError, match=r"^environment variable KIRSCH_SERVER_THREADS, server\.threads: must be"
    ):
        from_variables({"KIRSCH_SERVER_THREADS": "four"}, SETTINGS)


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("KIRSCH_SERVICE_HOST", "10.0.0.1"),
        ("KIRSCH_SERVICE_PORT", "8080"),
        ("KIRSCH_SERVICE_PORT_HTTP", "8080"),
        ("KIRSCH_PORT", "tcp://10.0.0.1:8080"),
        ("KIRSCH_PORT_8080_TCP", "tcp://10.0.0.1:8080"),
        ("KIRSCH_PORT_8080_TCP_PROTO", "tcp"),
        ("KIRSCH_PORT_8080_TCP_PORT", "8080"),
        ("KIRSCH_PORT_8080_TCP_ADDR", "10.0.0.1"),
        ("KIRSCH_WEB_SERVICE_HOST", "10.0.0.1"),
        ("KIRSCH_WEB_PORT", "udp://10.0.0.1:53"),
    ],
)
def test_what_kubernetes_injects_is_left_alone(variable: str, text: str) -> None:
    assert from_variables({variable: text}, SETTINGS) == {}


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("KIRSCH_PORT", "8080"),
        ("KIRSCH_SERVER_PORT", "8080"),
        ("KIRSCH_SERVICE", "x"),
        ("KIRSCH_PORTS", "tcp://x"),
    ],
)
def test_what_only_looks_injected_is_still_an_error(variable: str, text: str) -> None:
    with pytest.raises(UnknownKeyError):
        from_variables({variable: text}, SETTINGS)
