"""`tools.staticdir` and `tools.staticfile`: the files of a folder, and one file.

How a file is answered is the affair of `kirsch.tools.static`; which one may be, of `kirsch.tools.files`.
"""

from __future__ import annotations

import os
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from kirsch.http.accept import AcceptEncoding
from kirsch.http.headers import Headers
from kirsch.http.ranges import MOST_RANGES
from kirsch.tools.files import REFUSED, Folder, Source, identity_of, open_file
from kirsch.tools.static import describe, media_type, note, send
from kirsch.tools.trailing_slash import trailing_slash
from kirsch.tools.vary import add_vary
from kirsch.web.hooks import Hook
from kirsch.web.plan import Memory
from kirsch.web.toolbox import HandlerTool

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from kirsch.http.exchange import RequestHead
    from kirsch.web.request import Request

__all__ = ["StaticDir", "staticdir", "staticfile"]

CODINGS: Final = {"br": ".br", "zstd": ".zst", "gzip": ".gz"}
"""Content codings and the ends of the names of files that hold something so encoded, the best first."""

_MOST_REMEMBERED: Final = 256
"""Answers with small files that one folder remembers, in each of two generations."""
_REMEMBERED: Final = 16_384
"""Bytes of such a file, so at most 8 MiB for a folder. Icons and pages are smaller, many scripts are not."""
_SETTLED: Final = 2
"""Seconds after which a file that was changed counts as settled: FAT counts in twos."""


@lru_cache(maxsize=1024)
def _folder(path: str, root: str, follow_symlinks: bool, refuse: tuple[str, ...]) -> Folder:
    return Folder(
        _absolute("tools.staticdir", "dir", path, root), follow_symlinks=follow_symlinks, refuse=refuse
    )


def _absolute(tool: str, key: str, path: str, root: str) -> str:
    """Return where a configured path leads. Raises ValueError for one that leads nowhere certain."""
    if not path:
        raise ValueError(f"'{tool}.on' is set, but not '{tool}.{key}', which says what to serve")
    whole = os.path.join(os.path.expanduser(root), os.path.expanduser(path))  # noqa: PTH111, PTH118  text: pathlib takes thrice the time
    if not os.path.isabs(whole):  # noqa: PTH117  as above
        raise ValueError(
            f"'{tool}.{key}' is {path!r}, which is relative; make it absolute, or set '{tool}.root' "
            "to the absolute path it is relative to"
        )
    return whole


def staticdir(
    request: Request,
    /,
    section: str = "",
    dir: str = "",  # noqa: A002  the key programs write
    root: str = "",
    match: str = "",
    content_types: Mapping[str, str] | None = None,
    index: str = "",
    debug: bool = False,
    *,
    follow_symlinks: bool = False,
    refuse: Sequence[str] = REFUSED,
    precompressed: bool = False,
    max_ranges: int = MOST_RANGES,
) -> bool:
    """Serve the files below a folder; return whether there was one, and let the handler answer if not.

    Parameters:
        section: the path the folder stands for; configuration and decorators say it by where they stand.
        dir: the folder; `~` is expanded.
        root: what a relative `dir` is relative to.
        match: a regular expression; paths it is not found in are left alone.
        content_types: Content-Type by extension, before those everybody knows.
        index: the file that answers for a folder; its URL ends with a slash, others are redirected there.
        debug: whether to log what was done.
        follow_symlinks: whether links may lead out of the folder.
        refuse: patterns of names that are not served; by default dot-files, programs, configuration.
        precompressed: whether `page.html.br`, `.zst` and `.gz` beside `page.html` hold the same, encoded, and
            go to clients that take that. One older than its original is left alone.
        max_ranges: ranges of one request; more are ignored, and the file sent whole.

    Answers GET and HEAD. There are no listings of folders. Raises ValueError for a `dir` that is not certain.
    """
    serve = _Directory(
        section,
        dir,
        root,
        match=match,
        content_types=content_types,
        index=index,
        debug=debug,
        follow_symlinks=follow_symlinks,
        refuse=refuse,
        precompressed=precompressed,
        max_ranges=max_ranges,
    )
    return serve(request)


class StaticDir(HandlerTool):
    """The tool `staticdir`. What follows from its configuration is made once for each plan."""

    def __init__(self) -> None:
        super().__init__(staticdir)

    def _hook(self, priority: float | None, arguments: dict[str, Any]) -> Hook:
        serve = _Directory(**arguments)

        def run(request: Request, /) -> None:
            if serve(request):
                request.handler = None

        return Hook(run, False, self._priority(priority))  # noqa: FBT003  Hook's order is fixed by hooks.attach


class _Remembered(NamedTuple):
    """The whole answer with a small file."""

    path: str
    identity: tuple[int, ...]
    fields: list[tuple[str, str]]
    data: bytes


class _Directory:
    """A folder as it is configured to be served. See `staticdir` for the parameters.

    Whole answers with small files are remembered, and sent again after one look at whether the path still
    leads to the same version of the same file, which was found to lie inside. Shared by threads.
    """

    def __init__(
        self,
        section: str = "",
        dir: str = "",  # noqa: A002  the key programs write
        root: str = "",
        *,
        match: str = "",
        content_types: Mapping[str, str] | None = None,
        index: str = "",
        debug: bool = False,
        follow_symlinks: bool = False,
        refuse: Sequence[str] = REFUSED,
        precompressed: bool = False,
        max_ranges: int = MOST_RANGES,
    ) -> None:
        self._folder = _folder(dir, root, follow_symlinks, tuple(refuse))
        self._own = tuple([name for name in section.split("/") if name])
        self._match = re.compile(match) if match else None
        self._content_types = content_types
        self._index = index.split("/") if index else []
        self._debug = debug
        self._precompressed = precompressed
        self._max_ranges = max_ranges
        self._memory: Memory[_Remembered] = Memory(_MOST_REMEMBERED)

    def __call__(self, request: Request) -> bool:
        """Serve a file; return whether there was one."""
        if request.method not in {"GET", "HEAD"}:
            return False
        path = request.path
        fresh = request.made_response is None
        if fresh and _is_plain(request.head):
            known = self._memory.get((path.segments, path.slash))
            if known is not None and _is_still(known):
                response = request.response
                response.headers = Headers.trusted(known.fields)
                response.body = known.data
                return True
        if self._match is not None and self._match.search(request.path_info) is None:
            return False
        count = len(self._own)
        if path.segments[:count] != self._own:
            return False
        return self._open(request, path.segments[count:], fresh=fresh)

    def _open(self, request: Request, segments: tuple[str, ...], *, fresh: bool) -> bool:
        folder = self._folder
        slash = request.path.slash
        source: Source | None = None
        if segments and not slash:
            source = folder.open(segments)
        if source is None and self._index:
            segments = (*segments, *self._index)
            source = folder.open(segments)
            if source is not None and not slash:
                source.close()
                request.is_index = True
                trailing_slash(request)
        if source is None:
            note(request, self._debug, f"nothing to serve for {request.path_info} in {folder.path}")
            return False

        def sibling(end: str) -> Source | None:
            return folder.open((*segments[:-1], segments[-1] + end))

        kind = media_type(segments[-1], self._content_types)
        _serve(request, source, kind, sibling if self._precompressed else None, self._max_ranges)
        if fresh and not self._precompressed:
            self._remember(request, source, segments)
        return True

    def _remember(self, request: Request, source: Source, segments: tuple[str, ...]) -> None:
        response = request.response
        data = response.body
        if (
            response.status is not None
            or not isinstance(data, bytes)
            or len(data) > _REMEMBERED
            or source.identity is None
            # What was changed just now may change again within the same tick of the clock.
            or max(source.identity[3:]) > (response.time - _SETTLED) * 1e9
        ):
            return
        path = os.path.join(self._folder.path, *segments)  # noqa: PTH118  as above
        known = _Remembered(path, source.identity, response.headers.items(), data)
        self._memory.put((request.path.segments, request.path.slash), known)


def _is_plain(head: RequestHead) -> bool:
    """Tell whether a request has no conditions and no ranges; a fact of its head, noted there."""
    known: bool | None = head.shared.get("plain")
    if known is None:
        known = not any(name.lower().startswith(("if-", "range")) for name, _ in head.fields)
        head.shared["plain"] = known
    return known


def _is_still(known: _Remembered) -> bool:
    try:
        return identity_of(os.stat(known.path)) == known.identity  # noqa: PTH116  as above
    except OSError:
        return False


def staticfile(
    request: Request,
    /,
    filename: str = "",
    root: str = "",
    match: str = "",
    content_types: Mapping[str, str] | None = None,
    debug: bool = False,
    *,
    precompressed: bool = False,
    max_ranges: int = MOST_RANGES,
) -> bool:
    """Serve one file; return whether it is there, and let the handler answer if not.

    Parameters:
        filename: the file; `~` is expanded.
        root: what a relative `filename` is relative to.

    All else is as for `staticdir`; links are followed, since the name is the program's own.
    """
    if request.method not in {"GET", "HEAD"} or (match and not re.search(match, request.path_info)):
        return False
    path = _absolute("tools.staticfile", "filename", filename, root)
    source = open_file(path)
    if source is None:
        note(request, debug, f"there is no file {path}")
        return False

    def sibling(end: str) -> Source | None:
        return open_file(path + end)

    _serve(request, source, media_type(path, content_types), sibling if precompressed else None, max_ranges)
    return True


def _serve(
    request: Request, source: Source, kind: str, sibling: Callable[[str], Source | None] | None, limit: int
) -> None:
    if sibling is not None:
        source = _variant(request, source, sibling)
    describe(request, source, kind, None, None)
    send(request, source, limit)


def _variant(request: Request, source: Source, sibling: Callable[[str], Source | None]) -> Source:
    """Return the encoded file beside `source` that the client likes best, and say so; else `source`."""
    headers = request.response.headers
    add_vary(headers, "Accept-Encoding")
    accepted = AcceptEncoding.parse(request.headers.get("Accept-Encoding"))
    least = accepted.quality("identity")
    offers = [coding for coding in CODINGS if 0 < accepted.quality(coding) >= least]
    for coding in sorted(offers, key=lambda one: -accepted.quality(one)):
        found = sibling(CODINGS[coding])
        if found is None:
            continue
        if found.modified_ns >= source.modified_ns:
            source.close()
            headers["Content-Encoding"] = coding
            return found
        found.close()
    return source
