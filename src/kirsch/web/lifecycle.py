"""One request from its resource to its answer: the order of everything, for success and for each failure.

    resource found, configuration applied
    on_start_resource, before_request_body, body taken apart, before_handler
    handler
    before_finalize, finalize
    on_end_resource

An HTTPError or HTTPRedirect, raised anywhere before finalize, becomes the response, then before_finalize,
finalize and on_end_resource follow as for any other. An unexpected error skips to on_end_resource; then come
before_error_response, the error page, after_error_response and finalize.

Whatever happened, the finishers of the plan are called with the answer: the one place that all answers pass.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from kirsch.http.exchange import FileBody
from kirsch.web.context import serving
from kirsch.web.errorpage import answer_error, answer_redirect, answer_unexpected, last_resort
from kirsch.web.errors import HTTPError, HTTPRedirect, InternalRedirect, NotFound
from kirsch.web.plan import NO_PLAN
from kirsch.web.request import page

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kirsch.web.plan import Plan
    from kirsch.web.request import Request

__all__ = ["answer", "finish", "recover"]

_KNOWN: Final = frozenset(
    {
        *("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"),
        # RFC 4918, 3253, 3744, 5323, 4791 and 9110's registry: what calendars, file shares and repositories
        # use.
        *("PROPFIND", "PROPPATCH", "MKCOL", "COPY", "MOVE", "LOCK", "UNLOCK", "REPORT", "SEARCH", "ACL"),
        *("MKCALENDAR", "MKACTIVITY", "CHECKOUT", "MERGE", "LINK", "UNLINK", "QUERY"),
    }
)
"""Methods that reach a handler. TRACE and CONNECT are refused (405), others are not implemented (501)."""

_ALLOW: Final = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"


def answer(request: Request) -> None:
    """Answer `request`: set status, fields and content of its exchange. `kirsch.request` must stand for it.

    Raises only what `request.throws` names, and everything when `request.throw_errors` is set.
    """
    try:
        plan = request.app.find(request)
        exchange = request.exchange
        method = exchange.head.method
        exchange.pace = plan.pace(method)
        if plan.plain and exchange.body is None and method in _KNOWN and not plan.response_settings:
            _answer_plain(request, plan)
        else:
            _answer_fully(request, plan)
    except Exception as error:  # noqa: BLE001  the boundary of the program: what it raises becomes an answer
        recover(request, error)
    # As `finish`, which is not called where it can be spared: this runs for every request.
    plan = request.plan
    if plan is NO_PLAN:
        finish(request)
    else:
        for each in plan.finishers:
            each(request)


def finish(request: Request) -> None:
    """Call the finishers of the plan; of the application's spare one where dispatch has found none."""
    plan = request.plan
    for each in (plan if plan is not NO_PLAN else request.app.spare_plan()).finishers:
        each(request)


def _answer_plain(request: Request, plan: Plan) -> None:
    """Answer where there are no hooks: the shortest way."""
    for name, value in plan.request_settings:
        setattr(request, name, value)
    request.stage = "handler"
    handler = request.callable
    args = request.args
    parameters = plan.parameters
    try:
        try:
            if handler is None:
                raise NotFound
            if (
                not request.exchange.head.query
                and request.popped is None
                and parameters.fewest <= len(args) <= parameters.most
                and not parameters.passes
            ):
                body = handler(*args)
            else:
                body = page(request, handler, args, request.params)
        except (HTTPError, HTTPRedirect) as raised:
            _become(request, raised)
        else:
            if request.made_response is None and request.made_hooks is None:
                if body.__class__ is str:
                    body = body.encode()
                if body.__class__ is bytes:
                    exchange = request.exchange
                    exchange.status = "200 OK"
                    exchange.fields = plan.fields
                    exchange.content = body
                    return
            request.response.body = body
        # Only a handler can have attached hooks here.
        if request.made_hooks:
            request.run_hooks("before_finalize")
        _finalize(request)
    finally:
        if request.made_hooks:
            request.run_hooks("on_end_resource")


def _answer_fully(request: Request, plan: Plan) -> None:
    """Answer with hooks, a body, or an unusual method."""
    if "on_end_request" in plan.hooks:
        request.exchange.after = request.close
    try:
        try:
            _apply(request, plan)
            _check_method(request)
            request.run_hooks("on_start_resource")
            _read_body(request)
            request.run_hooks("before_handler")
            _handle(request)
            request.run_hooks("before_finalize")
            _finalize(request)
        except (HTTPError, HTTPRedirect) as raised:
            _become(request, raised)
            request.run_hooks("before_finalize")
            _finalize(request)
    except BaseException:
        stage = request.stage
        request.run_hooks("on_end_resource")
        # The log shall name where it failed.
        request.stage = stage
        raise
    request.run_hooks("on_end_resource")


def _apply(request: Request, plan: Plan) -> None:
    """Apply the configuration of the resource to the request."""
    for name, value in plan.request_settings:
        setattr(request, name, value)
    for name, value in plan.response_settings:
        setattr(request.response, name, value)
    for tell, key, value in plan.told:
        tell(key, value)
    for set_up in plan.each_time:
        set_up()


def _check_method(request: Request) -> None:
    method = request.method
    if method in _KNOWN:
        return
    if method in {"TRACE", "CONNECT"}:
        raise HTTPError(405, headers={"Allow": _ALLOW})
    raise HTTPError(501, headers={"Allow": _ALLOW})


def _read_body(request: Request) -> None:
    if request.method not in request.methods_with_bodies:
        request.process_request_body = False
    request.run_hooks("before_request_body")
    exchange = request.exchange
    if request.process_request_body and exchange.body is not None:
        request.stage = "process_body"
        body = request.body
        body.process()
        if body.params:
            # They may have been made by a hook, from the query alone.
            request.__dict__.pop("params", None)
        if body.parts and exchange.after is None:
            exchange.after = request.close


def _handle(request: Request) -> None:
    request.stage = "handler"
    if request.made_handler is None:
        if request.callable is None:
            raise NotFound
        request.response.body = page(request, request.callable, request.args, request.params)
        return
    handler = request.handler
    if handler is not None:
        request.response.body = handler()


def _become(request: Request, raised: HTTPError | HTTPRedirect) -> None:
    """Make what was raised the response."""
    if isinstance(raised, HTTPError):
        answer_error(request, raised)
    else:
        answer_redirect(request, raised)


def _finalize(request: Request) -> None:
    """Hand the response over to the exchange."""
    exchange = request.exchange
    status, fields, content = request.response.finalize()
    exchange.status = status
    exchange.fields = fields
    exchange.content = content if isinstance(content, (bytes, FileBody)) else _Streamed(request, content)
    if exchange.after is None and request.made_hooks is not None and "on_end_request" in request.made_hooks:
        exchange.after = request.close


def recover(request: Request, error: Exception) -> None:
    """Make the answer to an error nobody foresaw, or to one that the answer to another has met."""
    if isinstance(error, request.throws) or request.throw_errors:
        raise error
    try:
        if isinstance(error, (HTTPError, HTTPRedirect)):
            # Raised by dispatch, or by a hook that ran for another one.
            _become(request, error)
        else:
            _log(request, error)
            request.run_hooks("before_error_response")
            _page(request, error)
            request.run_hooks("after_error_response")
        _finalize(request)
    except InternalRedirect:
        raise
    except Exception as another:  # noqa: BLE001  the boundary of the program's error handling
        _recover_again(request, another)


def _page(request: Request, error: Exception) -> None:
    respond = request.error_response or request.plan.error_response
    if respond is None:
        answer_unexpected(request, error)
    else:
        respond()


def _recover_again(request: Request, error: Exception) -> None:
    """Answer an error of the error handling, once and without hooks."""
    try:
        if isinstance(error, (HTTPError, HTTPRedirect)):
            _become(request, error)
        else:
            _log(request, error)
            answer_unexpected(request, error)
        _finalize(request)
    except Exception as another:  # noqa: BLE001  the boundary of the program's error handling
        _log(request, another)
        exchange = request.exchange
        exchange.status, exchange.fields, exchange.content = last_resort()


def _log(request: Request, error: Exception) -> None:
    request.app.log(
        f"{request.unique_id} {request.method} {request.script_name}{request.path_info} "
        f"failed at {request.stage}",
        "HTTP",
        traceback=error,
    )


class _Streamed:
    """The content of a streamed answer. `kirsch.request` stands for its request while it is produced."""

    __slots__ = ("_content", "_request")

    def __init__(self, request: Request, content: Iterator[bytes]) -> None:
        self._request = request
        self._content = content

    def __iter__(self) -> _Streamed:
        return self

    def __next__(self) -> bytes:
        token = serving.set(self._request)
        try:
            return next(self._content)
        finally:
            serving.reset(token)

    def close(self) -> None:
        """Close what is streamed."""
        close: Any = getattr(self._content, "close", None)
        token = serving.set(self._request)
        try:
            if close is not None:
                close()
        finally:
            serving.reset(token)
