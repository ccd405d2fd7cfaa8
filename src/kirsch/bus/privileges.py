"""Give up root once low ports are bound and files are opened."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from kirsch.bus.bus import WARNING
from kirsch.bus.plugins import Plugin

if TYPE_CHECKING:
    from kirsch.bus.bus import Bus

__all__ = ["DropPrivileges"]


class DropPrivileges(Plugin):
    """Sets groups, user and umask, once, when the bus starts: after the HTTP servers have bound their ports.

    Parameters:
        bus: the bus.
        umask: file mode creation mask; None leaves it.
        uid: user to become, by number or name; None stays.
        gid: group to become, by number or name; None means the user's own group when `uid` names one, else it
            stays.

    Raises LookupError for a user or group that does not exist. On platforms without users and groups those
    are ignored with a warning.
    """

    def __init__(
        self,
        bus: Bus,
        umask: int | None = None,
        uid: int | str | None = None,
        gid: int | str | None = None,
    ) -> None:
        super().__init__(bus)
        self.umask = umask
        """File mode creation mask to set, or None."""
        self.uid = None if uid is None else _user(uid)
        """Number of the user to become, or None."""
        self.gid = None if gid is None else _group(gid)
        """Number of the group to become, or None."""
        self.finalized = False
        """Whether it has been done; there is no way back."""

    def start(self) -> None:
        """Set supplementary groups, group, user and umask; the user last of what needs root.

        With a user its supplementary groups are those of the system's databases, else there are none. Raises
        PermissionError when this process may not; the bus does not start then.
        """
        if self.finalized:
            return
        if self.uid is not None or self.gid is not None:
            if hasattr(os, "setuid"):
                self._become()
            else:
                self.bus.log("This platform has no users and groups to change to; ignored", level=WARNING)
        if self.umask is not None:
            old = os.umask(self.umask)
            self.bus.log(f"umask {old:03o} -> {self.umask:03o}")
        self.finalized = True

    # After the HTTP servers (75).
    start.priority = 77  # type: ignore[attr-defined]  # read by Bus.subscribe

    def _become(self) -> None:
        import pwd

        uid, gid = self.uid, self.gid
        name = None
        if uid is not None:
            try:
                entry = pwd.getpwuid(uid)
            except KeyError:
                pass  # a number without an entry, as in containers
            else:
                name = entry.pw_name
                gid = entry.pw_gid if gid is None else gid
        try:
            if name is not None and gid is not None:
                os.initgroups(name, gid)
            else:
                os.setgroups([])
            if gid is not None:
                os.setgid(gid)
            if uid is not None:
                os.setuid(uid)
        except PermissionError as error:
            raise PermissionError(
                f"process {os.getpid()} runs as user {os.getuid()} and may not become user {uid}, group "
                f"{gid}: start it as root, or leave uid and gid out"
            ) from error
        self.bus.log(f"Running as user {os.getuid()}, group {os.getgid()}, groups {sorted(os.getgroups())}")


def _user(user: int | str) -> int:
    if isinstance(user, int):
        return user
    import pwd

    try:
        return pwd.getpwnam(user).pw_uid
    except KeyError:
        raise LookupError(f"there is no user {user!r} on this system") from None


def _group(group: int | str) -> int:
    if isinstance(group, int):
        return group
    import grp

    try:
        return grp.getgrnam(group).gr_gid
    except KeyError:
        raise LookupError(f"there is no group {group!r} on this system") from None
