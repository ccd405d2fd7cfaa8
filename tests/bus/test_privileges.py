"""Giving up root, in processes of their own."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from kirsch.bus import Bus, DropPrivileges

from .child import Child

if TYPE_CHECKING:
    from collections.abc import Iterator

posix = pytest.mark.skipif(os.name != "posix", reason="users and groups of POSIX")
as_root = pytest.mark.skipif(
    os.name != "posix" or os.geteuid() != 0, reason="only root can become somebody else"
)
as_user = pytest.mark.skipif(os.name != "posix", reason="users of POSIX")

SHOW = "say(('now', os.getresuid(), os.getresgid(), sorted(os.getgroups())))\n"


def drop(arguments: str) -> str:
    return f"from kirsch.bus import DropPrivileges\nDropPrivileges(bus, {arguments}).subscribe()\n"


@pytest.fixture
def umask() -> Iterator[int]:
    before = os.umask(0o022)
    os.umask(before)
    yield before
    os.umask(before)


@as_root
def test_a_user_by_name_brings_its_groups_and_there_is_no_way_back() -> None:
    script = f"""
import pwd
{drop("uid='nobody'")}
bus.start()
{SHOW}
try:
    os.setuid(0)
except PermissionError:
    say("no way back")
nobody = pwd.getpwnam("nobody")
groups = sorted(set(os.getgrouplist("nobody", nobody.pw_gid)))
say(('expected', (nobody.pw_uid,) * 3, (nobody.pw_gid,) * 3, groups))
bus.stop()
bus.start()
bus.exit()
"""
    with Child(script) as child:
        assert child.status() == 0
    now = next(line for line in child.lines if line.startswith("('now'"))
    expected = next(line for line in child.lines if line.startswith("('expected'"))
    assert now.replace("now", "expected") == expected
    assert "no way back" in child.lines
    assert sum("Running as user" in line for line in child.lines) == 1


@as_root
@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        ("uid=54321, gid=54322", "('now', (54321, 54321, 54321), (54322, 54322, 54322), [])"),
        ("uid=54321", "('now', (54321, 54321, 54321), (0, 0, 0), [])"),
        ("gid='nogroup'", "('now', (0, 0, 0), (65534, 65534, 65534), [])"),
        ("uid='nobody', gid=0", "('now', (65534, 65534, 65534), (0, 0, 0), [0])"),
    ],
)
def test_numbers_without_an_entry_and_groups_alone_work(arguments: str, shown: str) -> None:
    if "nogroup" in arguments:
        grp = pytest.importorskip("grp")
        try:
            grp.getgrnam("nogroup")
        except KeyError:
            pytest.skip("no such group here")
    with Child(drop(arguments) + "bus.start()\n" + SHOW + "bus.exit()\n") as child:
        assert child.status() == 0
    now = next(line for line in child.lines if line.startswith("('now'"))
    if "nobody" in arguments:  # the databases may give nobody more groups
        assert now.startswith(shown[: shown.index("[")])
    else:
        assert now == shown


@as_user
def test_one_who_may_not_is_told_so_and_the_bus_does_not_start() -> None:
    script = (
        # Imported before: the interpreter may lie in a folder of root's alone, and logs are made with this.
        "import tokenize\nif os.getuid() == 0:\n    os.setuid(54321)\n"
        + drop("uid=54323")
        + "try:\n    bus.start()\nexcept ExceptionGroup as group:\n    say(group)\nsay(repr(bus.state))\n"
    )
    with Child(script) as child:
        assert child.status() == 0
    assert any("may not become user 54323, group None: start it as root" in line for line in child.lines)
    assert child.lines[-1] == "states.EXITING"


@posix
@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"uid": "no such user"}, "there is no user 'no such user' on this system"),
        ({"gid": "no such group"}, "there is no group 'no such group' on this system"),
    ],
)
def test_names_that_do_not_exist_are_an_error_when_they_are_given(
    arguments: dict[str, str], sentence: str
) -> None:
    with pytest.raises(LookupError, match=sentence):
        DropPrivileges(Bus(), uid=arguments.get("uid"), gid=arguments.get("gid"))


@posix
def test_names_become_numbers() -> None:
    import grp
    import pwd

    user, group = pwd.getpwuid(os.getuid()), grp.getgrall()[0]
    plugin = DropPrivileges(Bus(), uid=user.pw_name, gid=group.gr_name)
    assert (plugin.uid, plugin.gid) == (user.pw_uid, grp.getgrnam(group.gr_name).gr_gid)


def test_the_umask_is_set_once_after_the_servers_have_bound(umask: int) -> None:
    bus = Bus()
    log: list[str] = []
    bus.subscribe("log", lambda msg, level: log.append(msg))
    DropPrivileges(bus, umask=0o027).subscribe()
    bus.start()
    assert f"umask {umask:03o} -> 027" in log
    assert os.umask(0o022) == 0o027
    bus.stop()
    bus.start()
    assert os.umask(umask) == 0o022
    bus.exit()
    assert [one.priority for one in bus.listeners["start"]] == [77]


def test_where_there_are_no_users_it_says_so_and_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "setuid", raising=False)
    bus = Bus()
    log: list[str] = []
    bus.subscribe("log", lambda msg, level: log.append(f"{level} {msg}"))
    DropPrivileges(bus, uid=1).start()
    assert log == ["30 This platform has no users and groups to change to; ignored"]
