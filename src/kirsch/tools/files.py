"""Files below a folder, found by the segments of a path from the wire, without a way out of the folder.

Three fences, each of which holds alone:

1. A segment must be a plain name on every system: what one of them reads as a way up, a drive, a share, a
   stream or a device is refused on all (CVE-2024-49766, CVE-2025-66221, CVE-2026-27199).
2. Names that are seldom meant for the public are refused: dot-files, programs, configuration.
3. What was opened must lie inside: the path of the open descriptor is compared with that of the folder,
   component by component, so that a link leads nowhere and nobody can swap one in between (CVE-2024-23334).
"""

from __future__ import annotations

import errno
import os
import re
import stat
from typing import TYPE_CHECKING, Any, Final

from kirsch.http.etags import ETag

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import BinaryIO

__all__ = ["REFUSED", "Folder", "Source", "identity_of", "is_plain_name", "open_file"]

REFUSED: Final = (".*", "*~", "*.bak", "*.conf", "*.py", "*.pyc", "*.pyo")
"""Names that are not served unless a program says so; `.well-known` (RFC 8615) is, its content as any."""

_OPEN_TO_ALL: Final = ".well-known"

# Win32 naming: a slash of either kind divides, a colon begins a stream or follows a drive, dots and spaces at
# the end are dropped, and a device is found by what stands before the first dot, in any folder.
_DIVIDES: Final = re.compile(r"[/\\:\x00-\x1f\x7f]|[. ]\Z")
_DEVICE: Final = re.compile(
    r"(?:CON|PRN|AUX|NUL|CLOCK\$|CONIN\$|CONOUT\$|(?:COM|LPT)[0-9\u00b9\u00b2\u00b3]) *(?:\..*)?",
    re.IGNORECASE | re.DOTALL,
)

_MISSING: Final = frozenset(
    {
        *(errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EACCES, errno.EPERM, errno.ELOOP),
        *(errno.ENAMETOOLONG, errno.EINVAL, errno.ENXIO, errno.ENODEV),
    }
)
"""Errors that say that there is no such file for us. All others, such as too many open files, are ours."""

_FLAGS: Final = (
    os.O_RDONLY
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
    # A pipe that nobody writes to would hold the thread that opens it.
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_NOCTTY", 0)
)

_DESCRIPTORS: Final = "/proc/self/fd"


def is_plain_name(segment: str) -> bool:
    """Tell whether `segment` names an entry of a folder, on POSIX and on Windows, and nothing else."""
    return bool(segment) and _DIVIDES.search(segment) is None and _DEVICE.fullmatch(segment) is None


class Source:
    """Bytes to be served: an open file from some position on. Whoever has it closes it.

    Parameters:
        file: the open file.
        start: position of the first byte.
        size: bytes from there on; -1 when that is not known.
        facts: what the system says of the file; None for what is no file.
    """

    __slots__ = ("etag", "file", "identity", "modified", "modified_ns", "size", "start")

    def __init__(self, file: Any, start: int, size: int, facts: os.stat_result | None) -> None:
        self.file = file
        self.start = start
        self.size = size
        self.identity = None if facts is None else identity_of(facts)
        """What changes when the file does, or another comes in its place."""
        self.modified_ns = 0 if facts is None else facts.st_mtime_ns
        self.modified = None if facts is None else facts.st_mtime_ns // 1_000_000_000
        """When it was last modified, a timestamp in whole seconds."""
        self.etag = None if facts is None else _etag(facts, start)
        """A strong tag."""

    def read(self, start: int, length: int) -> bytes:
        """Return `length` bytes from `start`, counted from our first byte; fewer if the file ends before."""
        self.file.seek(self.start + start)
        pieces: list[bytes] = []
        while length and (data := self.file.read(length)):
            pieces.append(data)
            length -= len(data)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def close(self) -> None:
        """Close the file."""
        self.file.close()


def identity_of(facts: os.stat_result) -> tuple[int, ...]:
    """Return what no two files, or two versions of one, have in common.

    The time of change of the inode is in it, which no program can set.
    """
    return facts.st_dev, facts.st_ino, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns


def _etag(facts: os.stat_result, start: int) -> ETag:
    """Return a tag that changes with the file: of inode, size and time of change in nanoseconds.

    Hashed, since an inode tells of the machine (CVE-2003-1418).
    """
    from hashlib import blake2b

    text = f"{facts.st_ino}-{facts.st_size}-{facts.st_mtime_ns}-{start}"
    return ETag(blake2b(text.encode(), digest_size=12).hexdigest())


def open_file(path: str) -> Source | None:
    """Open a regular file, wherever links lead; None when there is none that can be read.

    Raises OSError for what is no fault of the path.
    """
    found = _open(path)
    return None if found is None else _source(*found)


def _open(path: str) -> tuple[int, os.stat_result] | None:
    """Return descriptor and facts of a regular file."""
    try:
        descriptor = os.open(path, _FLAGS)
    except OSError as error:
        if error.errno in _MISSING:
            return None
        raise
    except ValueError:
        # A NUL, or a character the file system's encoding lacks.
        return None
    try:
        facts = os.fstat(descriptor)
    except BaseException:
        os.close(descriptor)
        raise
    if stat.S_ISREG(facts.st_mode):
        return descriptor, facts
    os.close(descriptor)
    return None


def _source(descriptor: int, facts: os.stat_result) -> Source:
    file: BinaryIO = os.fdopen(descriptor, "rb", buffering=0)
    return Source(file, 0, facts.st_size, facts)


class Folder:
    """A folder whose files may be opened by path segments.

    Parameters:
        path: its absolute path; may be a link, and may come to lead elsewhere.
        follow_symlinks: whether links inside may lead out of it.
        refuse: patterns of names, as in a shell, without case, that no segment may have.

    Immutable but for a memory of where `path` leads, which is checked before it is used; shared by threads.
    """

    def __init__(self, path: str, *, follow_symlinks: bool = False, refuse: Sequence[str] = REFUSED) -> None:
        from fnmatch import translate

        self.path = path
        self.follow_symlinks = follow_symlinks
        # No pattern at all matches nothing.
        pattern = "|".join(translate(one) for one in refuse) or r"(?!)"
        self._refused = re.compile(pattern, re.IGNORECASE)
        self._real: tuple[tuple[int, int], str] | None = None

    def open(self, segments: Sequence[str]) -> Source | None:
        """Open the regular file that `segments`, decoded once, name; None if there is none to be served.

        Raises OSError for what is no fault of the path.
        """
        if not segments or not all(map(is_plain_name, segments)) or self._refuses(segments):
            return None
        path = os.path.join(self.path, *segments)  # noqa: PTH118  text: pathlib takes thrice the time
        found = _open(path)
        if found is None:
            return None
        descriptor, facts = found
        try:
            inside = self.follow_symlinks or self._holds(descriptor, path, facts)
        except BaseException:
            os.close(descriptor)
            raise
        if inside:
            return _source(descriptor, facts)
        os.close(descriptor)
        return None

    def _refuses(self, segments: Sequence[str]) -> bool:
        matches = self._refused.match
        return any(matches(one) is not None and one != _OPEN_TO_ALL for one in segments)

    def _holds(self, descriptor: int, path: str, facts: os.stat_result) -> bool:
        """Tell whether an open file lies inside, under names that may be served."""
        resolved = _path_of(descriptor)
        if resolved is None:
            resolved = os.path.normcase(os.path.realpath(path))
            try:
                # What lies there now must be what was opened.
                if not os.path.samestat(os.stat(resolved), facts):  # noqa: PTH116  as above
                    return False
            except OSError:
                return False
        root = self._root()
        if root is None or not resolved.startswith(root):
            return False
        return not self._refuses(resolved[len(root) :].split(os.sep))  # noqa: PTH206  as above

    def _root(self) -> str | None:
        """Return where the folder really lies, with a separator at its end."""
        try:
            facts = os.stat(self.path)  # noqa: PTH116  as above
        except OSError:
            return None
        identity = (facts.st_dev, facts.st_ino)
        known = self._real
        if known is None or known[0] != identity:
            # Two threads may both come here; either answer is right.
            real = os.path.normcase(os.path.realpath(self.path))
            known = self._real = (identity, real if real.endswith(os.sep) else real + os.sep)
        return known[1]


def _path_of(descriptor: int) -> str | None:
    """Return the path of what is open, as the kernel of Linux knows it; None elsewhere."""
    try:
        return os.readlink(f"{_DESCRIPTORS}/{descriptor}")  # noqa: PTH115  the shortest way, once a request
    except OSError:
        return None
