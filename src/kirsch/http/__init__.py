"""HTTP itself, without I/O: fields, cookies, dates, ranges, accept lists, status codes, and the exchange.

Used by every room above. Nothing here imports anything of Kirsch outside this room, reads a clock, or keeps
state between calls, except for a cache of the days dates fall on.
"""

from __future__ import annotations

from kirsch.http.accept import Accept, AcceptCharset, AcceptEncoding, AcceptLanguage, Preference
from kirsch.http.cookies import CookieError, SetCookie, parse_cookies
from kirsch.http.dates import format_date, parse_date
from kirsch.http.etags import ETag, any_matches, evaluate, parse_etag, parse_etags, strong_match, weak_match
from kirsch.http.exchange import Address, Exchange, FileBody, Gateway, Link, RequestHead
from kirsch.http.grammar import (
    Target,
    decimal,
    is_field_value,
    is_host,
    is_token,
    quote_string,
    split_host,
    split_members,
    split_target,
    unquote_string,
)
from kirsch.http.headers import HeaderError, Headers
from kirsch.http.media import (
    Element,
    decode_ext_value,
    format_disposition,
    format_params,
    parse_content_type,
    parse_disposition,
    parse_elements,
    parse_params,
)
from kirsch.http.pace import Pace, PaceTable
from kirsch.http.ranges import content_range, if_range, parse_range
from kirsch.http.status import REASONS, no_body, no_content, reason, status_line, valid_status
from kirsch.http.urls import (
    TooManyFieldsError,
    decode_path,
    decode_segments,
    escape_leading_slashes,
    format_query,
    parse_query,
    percent_decode,
    quote,
    quote_location,
    remove_dot_segments,
)

__all__ = [
    "REASONS",
    "Accept",
    "AcceptCharset",
    "AcceptEncoding",
    "AcceptLanguage",
    "Address",
    "CookieError",
    "ETag",
    "Element",
    "Exchange",
    "FileBody",
    "Gateway",
    "HeaderError",
    "Headers",
    "Link",
    "Pace",
    "PaceTable",
    "Preference",
    "RequestHead",
    "SetCookie",
    "Target",
    "TooManyFieldsError",
    "any_matches",
    "content_range",
    "decimal",
    "decode_ext_value",
    "decode_path",
    "decode_segments",
    "escape_leading_slashes",
    "evaluate",
    "format_date",
    "format_disposition",
    "format_params",
    "format_query",
    "if_range",
    "is_field_value",
    "is_host",
    "is_token",
    "no_body",
    "no_content",
    "parse_content_type",
    "parse_cookies",
    "parse_date",
    "parse_disposition",
    "parse_elements",
    "parse_etag",
    "parse_etags",
    "parse_params",
    "parse_query",
    "parse_range",
    "percent_decode",
    "quote",
    "quote_location",
    "quote_string",
    "reason",
    "remove_dot_segments",
    "split_host",
    "split_members",
    "split_target",
    "status_line",
    "strong_match",
    "unquote_string",
    "valid_status",
    "weak_match",
]
