"""Three fences around a folder, each tried alone: names, patterns, and where what was opened lies."""

from __future__ import annotations

import errno
import io
import os
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kirsch.tools import files
from kirsch.tools.files import REFUSED, Folder, Source, is_plain_name, open_file

if TYPE_CHECKING:
    from pathlib import Path

HOSTILE = [
    *("", ".", "..", "...", ". .", ".. ", "a.", "a ", "a. ", " .", "a. .", "..."),
    *(
        "a/b",
        "../a",
        "a\\b",
        "..\\a",
        "\\",
        "/",
        "//host/share",
        "\\\\host\\share",
        "\\\\?\\C:\\a",
        "\\\\.\\NUL",
    ),
    *("C:", "c:a", "C:\\a", "a:b", "a.txt::$DATA", "a.txt:stream", ":"),
    *(
        "CON",
        "con",
        "PRN",
        "AUX",
        "NUL",
        "nul",
        "NUL.txt",
        "NUL.txt.x",
        "nul .txt",
        "CLOCK$",
        "CONIN$",
        "conout$",
    ),
    *("COM0", "COM1", "com9", "COM1.log", "LPT0", "LPT1", "lpt9.x", "COM\u00b9", "COM\u00b2", "LPT\u00b3.a"),
    *("a\0", "\0", "a\0.txt", "a\n", "a\r\nb", "\t", "a\x1f", "a\x7f", "a\x1b[0m"),
]
FINE = [
    "a",
    "a.b",
    "..a",
    "a..b",
    ".a",
    "a b",
    "é",
    "con-x",
    "CONSOLE",
    "COM",
    "COM10",
    "LPT",
    "xNUL",
    "a~1",
    "%2e%2e",
    "<a>",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_that_some_system_reads_otherwise_is_none(name: str) -> None:
    assert not is_plain_name(name)


@pytest.mark.parametrize("name", FINE)
def test_other_names_are_names(name: str) -> None:
    assert is_plain_name(name)


@given(st.text(max_size=12))
def test_a_plain_name_joins_to_an_entry_of_the_folder_by_both_rules(name: str) -> None:
    import ntpath
    import posixpath

    if is_plain_name(name):
        for rules in (posixpath, ntpath):
            joined = rules.normpath(rules.join(rules.sep + "root", name))
            assert rules.dirname(joined) == rules.sep + "root"
            assert rules.basename(joined) == name


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    (root / "sub" / ".git").mkdir(parents=True)
    (root / ".well-known").mkdir()
    for name in ("a.txt", "sub/b.txt", "sub/.git/config", ".env", "app.py", "APP.PY", "x.conf", "old~"):
        (root / name).write_text(name)
    (root / ".well-known" / "security.txt").write_text("me")
    (root / ".well-known" / ".x").write_text("no")
    (tmp_path / "secret.txt").write_text("secret")
    (tmp_path / "root-too").mkdir()
    (tmp_path / "root-too" / "s.txt").write_text("sibling")
    return root


def content(source: Source | None) -> str | None:
    if source is None:
        return None
    try:
        return source.read(0, source.size).decode()
    finally:
        source.close()


def test_a_file_is_opened_by_its_segments(root: Path) -> None:
    folder = Folder(str(root))
    assert content(folder.open(["a.txt"])) == "a.txt"
    assert content(folder.open(("sub", "b.txt"))) == "sub/b.txt"


@pytest.mark.parametrize(
    "segments", [[], ["sub"], ["none"], ["a.txt", "x"], ["x" * 300], ["x" * 5000], ["\ud800"]]
)
def test_what_is_no_file_is_nothing(root: Path, segments: list[str]) -> None:
    assert Folder(str(root)).open(segments) is None


def test_hostile_segments_reach_no_file_system(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_open", lambda path: pytest.fail(f"{path!r} was opened"))
    for name in HOSTILE:
        assert Folder(str(root)).open([name]) is None
        assert Folder(str(root)).open(["sub", name, "b.txt"]) is None


def test_without_the_first_fence_the_way_up_is_closed_by_the_third(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "is_plain_name", lambda name: True)
    for segments in (
        ["..", "secret.txt"],
        ["../secret.txt"],
        [str(root.parent / "secret.txt")],
        ["..", "root-too", "s.txt"],
    ):
        assert Folder(str(root), refuse=()).open(segments) is None
        # The attack succeeds where both fences are down.
        assert content(Folder(str(root), refuse=(), follow_symlinks=True).open(segments)) in {
            "secret",
            "sibling",
        }


@pytest.mark.parametrize(
    "segments",
    [
        [".env"],
        ["sub", ".git", "config"],
        ["app.py"],
        ["APP.PY"],
        ["x.conf"],
        ["old~"],
        [".well-known", ".x"],
    ],
)
def test_names_that_are_seldom_public_are_refused(root: Path, segments: list[str]) -> None:
    assert Folder(str(root)).open(segments) is None
    assert content(Folder(str(root), refuse=()).open(segments)) is not None


def test_the_well_known_folder_is_public(root: Path) -> None:
    assert content(Folder(str(root)).open([".well-known", "security.txt"])) == "me"


@pytest.fixture(params=["by descriptor", "by path"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways to know where an open file lies."""
    if request.param == "by path":
        monkeypatch.setattr(files, "_DESCRIPTORS", "/nowhere")
    elif not os.path.exists("/proc/self/fd"):  # noqa: PTH110  the system's own name
        pytest.skip("the system does not tell")
    return str(request.param)


@pytest.mark.usefixtures("way")
def test_links_may_lead_about_inside_and_not_outside(root: Path) -> None:
    (root / "inside.txt").symlink_to("sub/b.txt")
    (root / "out.txt").symlink_to("../secret.txt")
    (root / "folder").symlink_to(root.parent / "root-too")
    (root / "env.txt").symlink_to(".env")
    (root / "loop.txt").symlink_to("loop.txt")
    folder = Folder(str(root))
    assert content(folder.open(["inside.txt"])) == "sub/b.txt"
    for segments in (["out.txt"], ["folder", "s.txt"], ["env.txt"], ["loop.txt"]):
        assert folder.open(segments) is None, segments
    follow = Folder(str(root), follow_symlinks=True)
    assert content(follow.open(["out.txt"])) == "secret"
    assert content(follow.open(["folder", "s.txt"])) == "sibling"


@pytest.mark.usefixtures("way")
def test_the_folder_itself_may_be_a_link_that_comes_to_lead_elsewhere(root: Path) -> None:
    link = root.parent / "current"
    link.symlink_to(root)
    folder = Folder(str(link))
    assert content(folder.open(["a.txt"])) == "a.txt"
    assert content(folder.open(["a.txt"])) == "a.txt"
    link.unlink()
    link.symlink_to(root.parent / "root-too")
    assert content(folder.open(["s.txt"])) == "sibling"
    # What was inside before the change is outside now.
    (root.parent / "root-too" / "a.txt").symlink_to(root / "a.txt")
    assert folder.open(["a.txt"]) is None


def test_a_file_swapped_between_opening_and_looking_is_refused(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "_DESCRIPTORS", "/nowhere")
    real = files._open

    def swapping(path: str) -> Any:
        found = real(str(root.parent / "secret.txt"))
        monkeypatch.setattr(files, "_open", real)
        return found

    folder = Folder(str(root))
    monkeypatch.setattr(files, "_open", swapping)
    assert folder.open(["a.txt"]) is None
    monkeypatch.setattr(files, "_open", swapping)
    assert folder.open(["gone.txt"]) is None


def test_a_folder_that_is_gone_holds_nothing(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = files._open
    monkeypatch.setattr(files, "_open", lambda path: real(str(root / "a.txt")))
    assert Folder(str(root / "gone")).open(["a.txt"]) is None


def test_the_root_of_the_file_system_is_a_folder_too(root: Path) -> None:
    folder = Folder("/")
    segments = str(root / "a.txt").strip("/").split("/")
    assert content(folder.open(segments)) == "a.txt"


def test_a_pipe_holds_nobody_up(root: Path) -> None:
    os.mkfifo(root / "pipe")
    assert Folder(str(root)).open(["pipe"]) is None


def opened() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208  a count


def test_nothing_stays_open(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / "out.txt").symlink_to("../secret.txt")
    os.mkfifo(root / "pipe")
    folder = Folder(str(root))
    before = opened()
    for name in ("a.txt", "out.txt", "pipe", "sub", "none"):
        content(folder.open([name]))
    assert opened() == before

    def fail(*args: Any) -> Any:
        raise OSError(errno.EIO, "broken")

    monkeypatch.setattr(Folder, "_holds", fail)
    with pytest.raises(OSError, match="broken"):
        folder.open(["a.txt"])
    monkeypatch.setattr(os, "fstat", fail)
    with pytest.raises(OSError, match="broken"):
        folder.open(["a.txt"])
    monkeypatch.undo()
    assert opened() == before


def test_running_out_of_descriptors_is_no_missing_file(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: Any) -> int:
        raise OSError(errno.EMFILE, "too many")

    monkeypatch.setattr(os, "open", fail)
    with pytest.raises(OSError, match="too many"):
        Folder(str(root)).open(["a.txt"])
    with pytest.raises(OSError, match="too many"):
        open_file(str(root / "a.txt"))


def test_a_file_of_the_programs_own_is_opened_wherever_it_lies(root: Path) -> None:
    assert content(open_file(str(root / ".env"))) == ".env"
    assert open_file(str(root)) is None
    assert open_file(str(root / "a\0b")) is None


def test_the_tag_changes_with_the_file_and_shows_nothing_of_it(root: Path) -> None:
    path = root / "a.txt"
    tags = set()
    for text, when in (("one", 1), ("two", 2), ("three", 2)):
        path.write_text(text)
        os.utime(path, ns=(when, when))
        source = open_file(str(path))
        assert source is not None
        assert source.modified == 0
        assert source.etag is not None
        assert not source.etag.weak
        assert str(path.stat().st_ino) not in str(source.etag)
        tags.add(source.etag)
        source.close()
    assert len(tags) == 3


def test_a_source_reads_from_its_start_whatever_the_file_returns_at_once() -> None:
    class Slow(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            return super().read(min(2, size or 0))

    source = Source(Slow(b"0123456789"), 3, 7, None)
    assert source.read(0, 5) == b"34567"
    assert source.read(5, 99) == b"89"
    assert source.read(0, 0) == b""
    assert (source.etag, source.modified) == (None, None)


def test_the_patterns_are_a_plain_tuple_to_build_on(root: Path) -> None:
    assert content(Folder(str(root), refuse=[*REFUSED, "*.txt"]).open(["a.txt"])) is None
