"""The house's settings: groups that check themselves, and what is written about each."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from kirsch.config.errors import ConfigError, UnknownKeyError
from kirsch.config.kinds import Duration
from kirsch.config.settings import SETTINGS, EngineSettings, LogSettings, ServerSettings, Settings

GROUPS: list[type[Settings]] = [ServerSettings, LogSettings, EngineSettings]


@pytest.mark.parametrize("group", GROUPS)
def test_attributes_are_named_like_their_settings(group: type[Settings]) -> None:
    for attribute, setting in group.settings().items():
        assert setting.name == f"{group.namespace}.{setting.name.partition('.')[2]}"
        assert attribute == setting.name.partition(".")[2].replace(".", "_")


@pytest.mark.parametrize("group", GROUPS)
def test_a_group_without_arguments_has_the_defaults_of_the_registry(group: type[Settings]) -> None:
    assert group().to_mapping() == {each.name: each.default for each in SETTINGS.namespace(group.namespace)}


@pytest.mark.parametrize("group", GROUPS)
def test_a_group_goes_to_a_mapping_and_back(group: type[Settings]) -> None:
    assert group.from_mapping(group().to_mapping()) == group()


def test_a_group_is_read_from_a_flat_configuration_and_leaves_other_namespaces_alone() -> None:
    settings = ServerSettings.from_mapping(
        {
            "server.threads": 4,
            "server.tls.certificate": "c.pem",
            "server.max_body": "10 MiB",
            "log.nonsense": 1,
        }
    )
    assert settings.threads == 4
    assert settings.tls_certificate == "c.pem"
    assert settings.max_body == 10 * 2**20


def test_values_are_brought_into_form_however_a_group_is_made() -> None:
    text: Any = "500ms"
    assert ServerSettings(head_timeout=text).head_timeout == 0.5
    assert dataclasses.replace(ServerSettings(), head_timeout=text).head_timeout == 0.5


def test_an_unknown_key_of_the_namespace_is_an_error_with_the_nearest_name() -> None:
    with pytest.raises(UnknownKeyError, match=r"Did you mean server\.threads\?"):
        ServerSettings.from_mapping({"server.thread": 4})


def test_a_wrong_value_names_its_key() -> None:
    with pytest.raises(ConfigError, match=r"^server\.threads: must be a whole number"):
        ServerSettings.from_mapping({"server.threads": "four"})


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"server.tls.key": "k.pem"}, r"^server\.tls\.key: is set, but server\.tls\.certificate is not"),
        ({"server.tls.chain": "k.pem"}, r"^server\.tls\.chain: is set"),
        ({"server.tls.password": "secret"}, r"^server\.tls\.password: is set"),
        ({"server.max_field": "128k"}, r"^server\.max_field: is 131072 bytes, more than server\.max_head"),
        ({"server.max_head": 4096, "server.max_field": 64}, r"^server\.max_request_line: is 8192 bytes"),
    ],
)
def test_values_that_contradict_each_other_are_refused(values: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        ServerSettings.from_mapping(values)


def test_a_group_cannot_be_changed() -> None:
    settings = ServerSettings()
    with pytest.raises(dataclasses.FrozenInstanceError):
        settings.threads = 1  # type: ignore[misc]
    assert not hasattr(settings, "__dict__")


def test_the_password_is_not_in_the_repr() -> None:
    assert "hunter2" not in repr(ServerSettings(tls_certificate="c.pem", tls_password="hunter2"))


def test_the_defaults_are_safe() -> None:
    settings = ServerSettings()
    assert settings.bind == ("127.0.0.1:8080",)
    assert settings.unix_mode & 0o007 == 0
    assert settings.tls_minimum == "1.2"
    assert not any(letter.isdigit() for letter in settings.server_header)
    # SECURITY DO1-DO7: every phase a client drives has a bound.
    phases = ("head", "body", "write", "idle", "handshake", "shutdown", "shutdown_head", "linger")
    assert all(0 < getattr(settings, f"{phase}_timeout") <= 75 for phase in phases)
    limits = ("request_line", "head", "fields", "field", "body", "chunk_overhead")
    assert all(getattr(settings, f"max_{limit}") > 0 for limit in limits)
    assert settings.max_request_line >= 8000, "RFC 9112 section 3"


def test_every_limit_and_every_timeout_names_what_others_choose() -> None:
    for setting in SETTINGS.namespace("server"):
        if isinstance(setting.kind, Duration) or setting.name.startswith("server.max_"):
            assert setting.precedents, setting.name


def test_every_server_setting_has_its_group() -> None:
    grouped = {each.name for group in GROUPS for each in group.settings().values()}
    assert set(SETTINGS.names()) - grouped == {"environment"}
