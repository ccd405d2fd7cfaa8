"""Reports of browsers are counted; nothing that tells of a person is kept, however many come."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kirsch.security.reports import ReportCollector
from tests.security.helpers import native, send

OLD = {
    "csp-report": {
        "document-uri": "https://anna:secret@a.example/page?token=secret#secret",
        "violated-directive": "script-src-elem 'self'",
        "blocked-uri": "https://evil.example:8443/secret.js?a=secret",
    }
}
NEW = [
    {
        "type": "csp-violation",
        "url": "https://a.example/page?token=secret",
        "body": {"effectiveDirective": "script-src-elem", "blockedURL": "inline"},
    },
    {"type": "deprecation", "body": {"id": "secret"}},
    "secret",
]


class Root:
    def __init__(self, **settings: int) -> None:
        self.csp_reports = ReportCollector(**settings)


def post(root: Root, body: bytes, kind: str = "application/csp-report") -> int:
    fields = {"Content-Type": kind}
    return send(native(root), "/csp-reports", "POST", fields, body=body).code


@pytest.mark.parametrize("kind", ["application/csp-report", "Application/JSON; charset=utf-8"])
def test_reports_of_report_uri_are_counted_without_what_is_private(kind: str) -> None:
    root = Root()
    for _ in range(3):
        assert post(root, msgspec.json.encode(OLD), kind) == 204
    assert root.csp_reports.counts == {("script-src-elem", "https://evil.example:8443", "/page"): 3}
    assert root.csp_reports.total == 3


def test_reports_of_report_to_are_counted_and_others_are_not() -> None:
    root = Root()
    assert post(root, msgspec.json.encode(NEW), "application/reports+json") == 204
    assert root.csp_reports.counts == {("script-src-elem", "inline", "/page"): 1}


@pytest.mark.parametrize(
    ("body", "report"),
    [
        ({"violated-directive": "img-src", "blocked-uri": "data:abc"}, ("img-src", "data:", "")),
        ({"violated-directive": 7, "blocked-uri": 7, "document-uri": 7}, ("(unknown)", "", "")),
        (
            {"effective-directive": "a\nb", "blocked-uri": "http://[", "document-uri": "http://["},
            ("(unknown)",) * 3,
        ),
        ({"effective-directive": "img-src", "document-uri": "/a\x1b[31m"}, ("img-src", "", "/a?[31m")),
        ({"effective-directive": "img-src", "blocked-uri": "http://a:b/"}, ("img-src", "(unknown)", "")),
    ],
)
def test_whatever_stands_in_a_report_is_made_harmless(body: dict[str, Any], report: tuple[str, ...]) -> None:
    collector = ReportCollector()
    assert collector.take(msgspec.json.encode({"csp-report": body})) == 1
    assert list(collector.counts) == [report]


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[" * 100_000, b"7", b'{"csp-report": 7}', b'{"type": "csp-violation"}']
)
def test_what_is_no_report_is_answered_and_forgotten(body: bytes) -> None:
    collector = ReportCollector()
    assert collector.take(body) == 0
    assert collector.counts == {}


def test_a_flood_of_different_reports_takes_bounded_memory() -> None:
    collector = ReportCollector(most=10, batch=5)
    many = [
        {
            "type": "csp-violation",
            "url": f"https://a.example/{number}",
            "body": {"effectiveDirective": "img-src"},
        }
        for number in range(100)
    ]
    assert collector.take(msgspec.json.encode(many)) == 5
    for start in range(0, 100, 5):
        collector.take(msgspec.json.encode(many[start : start + 5]))
    assert len(collector.counts) == 11
    assert collector.counts["(other)", "", ""] == 90
    assert collector.total == 105


@pytest.mark.parametrize(
    ("method", "kind", "size", "code"),
    [
        ("GET", "application/csp-report", 0, 405),
        ("POST", "text/plain", 2, 415),
        ("POST", "application/csp-report", 101, 413),
        ("POST", "application/csp-report", 100, 204),
    ],
)
def test_only_small_posts_of_reports_are_taken(method: str, kind: str, size: int, code: int) -> None:
    body = b" " * size if size else None
    answer = send(native(Root(limit=100)), "/csp-reports", method, {"Content-Type": kind}, body=body)
    assert answer.code == code


@settings(max_examples=100, deadline=None)
@given(
    st.recursive(
        st.none() | st.text(max_size=20) | st.integers(),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    ["csp-report", "type", "body", "blocked-uri", "document-uri", "effective-directive"]
                ),
                inner | st.just("csp-violation"),
                max_size=4,
            )
        ),
        max_leaves=12,
    )
)
def test_any_document_is_taken_without_an_error(document: object) -> None:
    collector = ReportCollector()
    collector.take(msgspec.json.encode(document))
    for parts in collector.counts:
        for part in parts:
            assert part.isascii()
            assert len(part) <= 200
            assert part == "" or part.isprintable()
