"""`tools.decode`: forms in another charset than UTF-8."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kirsch.http.urls import TooManyFieldsError, parse_query
from kirsch.tools.encode import known_charset
from kirsch.web.errors import HTTPError
from kirsch.web.params import merge_params

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kirsch.web.body import RequestBody
    from kirsch.web.request import Request

__all__ = ["decode"]

_FORM: Final = "application/x-www-form-urlencoded"


def decode(
    request: Request,
    /,
    encoding: str | Sequence[str] | None = None,
    default_encoding: str | Sequence[str] = "utf-8",
) -> None:
    """Say in which charsets a form may come. The first that fits is taken.

    Parameters:
        encoding: the charset, or several, whatever the form says of itself. None for what it says, if that
            is a known charset.
        default_encoding: the charset, or several, to try after that.

    For application/x-www-form-urlencoded; the parts of a multipart form say their charset one by one. A form
    that is in none of them is a 400. Raises LookupError for a configured charset that Python does not know.
    """

    def read(body: RequestBody) -> None:
        data = body.read_all(body.max_form)
        charsets = _listed(encoding)
        if not charsets:
            named = known_charset(body.content_type[1].get("charset", ""))
            charsets = ([named] if named else []) + _listed(default_encoding)
        for charset in charsets:
            try:
                pairs = parse_query(data, limit=body.max_fields, encoding=charset, strict=True)
            except UnicodeDecodeError:
                continue
            except TooManyFieldsError as error:
                raise HTTPError(
                    413, f"The form has {error.count} fields; at most {error.limit} are read."
                ) from None
            merge_params(body.params, pairs)
            return
        raise HTTPError(400, f"The form is not in the charset {' or '.join(charsets)}.")

    if request.process_request_body:
        request.body.processors[_FORM] = read


def _listed(value: str | Sequence[str] | None) -> list[str]:
    return [value] if isinstance(value, str) else list(value or ())
