"""What applications share."""

from __future__ import annotations

from kirsch.bus import Channels
from kirsch.config import Config
from kirsch.web import LogManager, Site, Toolbox


def test_a_site_makes_what_it_is_not_given() -> None:
    site = Site()
    assert (dict(site.config), list(site.toolboxes), site.bus, dict(site.listeners)) == (
        {},
        ["tools"],
        None,
        {},
    )
    assert site.log.error_log.name == "kirsch.error"
    assert site.config is not Site().config


def test_a_site_takes_what_it_is_given() -> None:
    config, log, bus, toolbox = Config(), LogManager("x"), Channels(), Toolbox("mine")
    site = Site(config, {"mine": toolbox}, log, bus, {"own": lambda key, value: None})
    assert (site.config, site.log, site.bus, site.toolboxes) == (config, log, bus, {"mine": toolbox})
    assert list(site.namespaces) == ["own"]
    bus.subscribe("before_request", len)
    assert site.listeners["before_request"]
