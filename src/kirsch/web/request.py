"""The request as programs see it. Nearly everything is made when it is first asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, BinaryIO, ClassVar, NamedTuple

from kirsch.http.cookies import parse_cookies
from kirsch.http.headers import Headers
from kirsch.http.urls import TooManyFieldsError, parse_query
from kirsch.web.body import RequestBody
from kirsch.web.context import serving
from kirsch.web.errors import HTTPError, InternalRedirect, NotFound
from kirsch.web.hooks import run_hooks
from kirsch.web.lazy import lazy
from kirsch.web.params import merge_params
from kirsch.web.plan import NO_PLAN

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from kirsch.http.exchange import Exchange, RequestHead
    from kirsch.web.application import Application
    from kirsch.web.dispatch import Path
    from kirsch.web.hooks import Hooks
    from kirsch.web.plan import Plan
    from kirsch.web.response import Response

_MOST_QUERY_FIELDS = 10_000

__all__ = ["Host", "PageHandler", "Request", "page"]


class Host(NamedTuple):
    """One end of a connection."""

    ip: str
    """Its address; a path or empty on Unix sockets."""
    port: int
    """Its port; 0 where there is none."""
    name: str
    """Its name where one is known, else its address."""


class Request:
    """One request. Owned by the thread that answers it.

    Parameters:
        app: the application that answers.
        exchange: the exchange with the server.
        path: the path below the application.

    Programs may set attributes of their own. Those of the class are set by configuration, as `request.NAME`.
    """

    prev: Request | None = None
    """The request an InternalRedirect came from."""
    login: str | bool | None = None
    """Who is logged in, as far as an authentication tool said."""
    process_request_body: bool = True
    """Whether a body is taken apart; hooks at `before_request_body` and earlier may switch it off."""
    methods_with_bodies: Collection[str] = ("POST", "PUT", "PATCH")
    """Methods whose bodies are taken apart."""
    error_response: Callable[[], object] | None = None
    """Called without arguments for an unexpected error, to set the response; None for the error page."""
    show_tracebacks: bool = False
    """Whether error pages show tracebacks. For development: they tell how the program is written."""
    show_mismatched_params: bool = False
    """Whether errors name the parameters that did not fit. For development."""
    throw_errors: bool = False
    """Whether unexpected errors go out to the server instead of becoming error pages. For tests."""
    throws: tuple[type[BaseException], ...] = (KeyboardInterrupt, SystemExit, InternalRedirect)
    """Exceptions that always go out."""
    redirect_hosts: Collection[str] = ()
    """Other hosts an HTTPRedirect may lead to, such as `login.example`, with a port if it is not the
    default."""
    max_query_fields: int = 1000
    """Fields of a query; more is a 400. 10 000 at most, which a request line of 64 KiB can just hold."""
    stage: str | None = None
    """Where the request is: the name of a hook point, `get_resource`, `process_body`, `handler`, `close`."""
    closed: bool = False
    """Whether the answer is over."""
    is_index: bool | None = None
    """Whether the resource is an index: it wants a slash at the end of its URL. None when that means
    nothing."""
    args: Collection[str] = ()
    """Path segments the handler gets by position, decoded."""
    json: Any = None
    """The decoded JSON body, when tools.json_in is on."""

    # What follows is shared by the modules of this room, and is None until somebody needs it.
    plan: Plan = NO_PLAN
    """How the resource is answered. Set by dispatch."""
    callable: Any = None
    """What answers; None when the path leads nowhere."""
    made_response: Response | None = None
    made_hooks: Hooks | None = None
    made_handler: Any = None
    made_body: RequestBody | None = None
    popped: dict[str, str] | None = None
    """Path segments that became parameters by name."""

    namespaces: ClassVar[dict[str, Callable[[str, Any], object]]] = {}
    """Told, for each request, the configuration keys of a namespace: `namespaces["x"]("y", 1)` for `x.y =
    1`."""

    def __init__(self, app: Application, exchange: Exchange, path: Path) -> None:
        self.app = app
        """The application."""
        self.exchange = exchange
        """The exchange with the server."""
        self.path = path
        """The path below the application, taken apart."""

    # --- what the client sent ---

    @property
    def head(self) -> RequestHead:
        """The head as the server parsed it; never changed."""
        return self.exchange.head

    @lazy
    def method(self) -> str:
        """The method."""
        return self.exchange.head.method

    @lazy
    def path_info(self) -> str:
        """The path below the application, decoded; an encoded slash stays `%2F`."""
        return self.path.text

    @lazy
    def script_name(self) -> str:
        """The path of the application, without a slash at its end."""
        return self.path.script_name

    @lazy
    def query_string(self) -> str:
        """The query without `?`, still encoded."""
        return self.exchange.head.query

    @lazy
    def server_protocol(self) -> str:
        """The version of HTTP this server speaks."""
        return "HTTP/1.1"

    @lazy
    def protocol(self) -> tuple[int, int]:
        """The version of HTTP that both sides speak."""
        return 1, self.exchange.head.minor

    @lazy
    def request_line(self) -> str:
        """The request line as it was received."""
        head = self.exchange.head
        return f"{head.method} {head.target} HTTP/1.{head.minor}"

    @lazy
    def scheme(self) -> str:
        """`https` or `http`."""
        return self.exchange.link.scheme

    @lazy
    def base(self) -> str:
        """Scheme and host, as in `https://notes.example:8443`, without a slash at the end."""
        host = self.exchange.head.host
        if not host:
            name, port = self.exchange.link.local
            host = name if port in {0, 80} else f"{name}:{port}"
        return f"{self.scheme}://{host}"

    @lazy
    def local(self) -> Host:
        """Our end of the connection."""
        name, port = self.exchange.link.local
        return Host(name, port, name)

    @lazy
    def remote(self) -> Host:
        """The client's end of the connection."""
        name, port = self.exchange.link.peer
        return Host(name, port, name)

    @lazy
    def headers(self) -> Headers:
        """The fields. A copy: changing them changes nothing for anybody else."""
        shared = self.exchange.head.shared
        kept: Headers | None = shared.get("headers")
        if kept is None:
            kept = shared["headers"] = Headers.trusted(self.exchange.head.fields)
        return kept.copy()

    @property
    def header_list(self) -> list[tuple[str, str]]:
        """The fields as they came."""
        return list(self.exchange.head.fields)

    @lazy
    def cookies(self) -> dict[str, str]:
        """The cookies by name."""
        return parse_cookies(self.headers.get("Cookie", ""))

    @lazy
    def query_params(self) -> dict[str, Any]:
        """The parameters in the query: text, or a list of text for a name that came more than once.

        HTTPError 400 for too many of them, 404 when they are not UTF-8.
        """
        params: dict[str, Any] = {}
        merge_params(params, self._query_pairs())
        return params

    def _query_pairs(self) -> list[tuple[str, str]]:
        derived = self.exchange.head.derived
        query = self.query_string
        kept: tuple[str, list[tuple[str, str]]] | None = derived.get("query")
        if kept is not None and kept[0] == query:
            pairs = kept[1]
        else:
            try:
                pairs = parse_query(query, limit=_MOST_QUERY_FIELDS, strict=True)
            except TooManyFieldsError as error:
                raise self._too_many(error.count) from None
            except UnicodeDecodeError:
                raise HTTPError(404, "The query is not UTF-8.") from None
            derived["query"] = (query, pairs)
        if len(pairs) > self.max_query_fields:
            raise self._too_many(len(pairs))
        return pairs

    def _too_many(self, count: int) -> HTTPError:
        return HTTPError(400, f"The query has {count} fields; at most {self.max_query_fields} are read.")

    @lazy
    def params(self) -> dict[str, Any]:
        """Parameters by name, of the path, the query and the body; what the handler is called with.

        Hooks may change it up to the call.
        """
        params: dict[str, Any] = {}
        if self.query_string:
            merge_params(params, self._query_pairs())
        if self.made_body is not None and self.made_body.params:
            for name, value in self.made_body.params.items():
                merge_params(params, [(name, one) for one in (value if isinstance(value, list) else [value])])
        if self.popped:
            # Last: a field of the query or the body cannot speak for the path (parameter pollution, ASVS
            # 15.3.7).
            params.update(self.popped)
        return params

    @property
    def body(self) -> RequestBody:
        """The body."""
        made = self.made_body
        if made is None:
            exchange = self.exchange
            made = self.made_body = RequestBody(exchange.body, exchange.length, self.headers)
            for name, value in self.plan.body_settings:
                setattr(made, name, value)
        return made

    @property
    def rfile(self) -> BinaryIO:
        """The bytes of the body as a file."""
        return self.body.file

    @lazy
    def unique_id(self) -> str:
        """A random UUID (RFC 9562 5.4) for this request; it stands in the error log and on error pages."""
        import uuid  # late: it looks for the machine's address when it is loaded

        return str(uuid.uuid4())

    # --- how it is answered ---

    @property
    def response(self) -> Response:
        """The response."""
        made = self.made_response
        if made is None:
            made = self.made_response = self.app.response_class(self.plan.fields)
        return made

    @lazy
    def config(self) -> dict[str, Any]:
        """The configuration of the resource, flat. A copy: changing it changes nothing for other requests."""
        return dict(self.plan.config)

    @lazy
    def error_page(self) -> dict[str, Any]:
        """Pages for errors, by code and `default`; see `kirsch.web.errorpage`."""
        return dict(self.plan.error_pages)

    @property
    def hooks(self) -> Hooks:
        """The hooks of this request; attaching to them changes nothing for other requests."""
        made = self.made_hooks
        if made is None:
            made = self.made_hooks = self.plan.hooks.copy()
        return made

    @property
    def handler(self) -> Any:
        """What makes the body: called without arguments. Hooks may wrap it, replace it, or set it to None.

        It calls what dispatch found with `args` and with the parameters as they are at that moment.
        """
        made = self.made_handler
        if made is None:
            found = self.callable
            made = self.made_handler = NotFound() if found is None else PageHandler(self, found, self.args)
        return None if made is _NOTHING else made

    @handler.setter
    def handler(self, handler: Callable[[], object] | None) -> None:
        self.made_handler = _NOTHING if handler is None else handler

    def run_hooks(self, point: str) -> None:
        """Run the hooks at `point`. Raises what they raise."""
        self.stage = point
        hooks = self.plan.hooks if self.made_hooks is None else self.made_hooks
        if point in hooks:
            run_hooks(hooks[point], self)

    def close(self) -> None:
        """End the request: run the hooks at `on_end_request`, close uploaded files.

        Errors are logged. Once.
        """
        if self.closed:
            return
        self.closed = True
        token = serving.set(self)
        try:
            self.run_hooks("on_end_request")
            if self.made_body is not None:
                self.made_body.close()
        except Exception:  # noqa: BLE001  the boundary of hooks: the answer is out, nobody else can be told
            self.app.log("at the end of a request", "HTTP", traceback=True)
        finally:
            self.app.released(self)
            serving.reset(token)

    def __repr__(self) -> str:
        # Without query and fields: they carry credentials, and reprs end in logs.
        return f"<Request {self.method} {self.script_name}{self.path_info}>"


class PageHandler:
    """What dispatch found, ready to be called without arguments.

    Parameters:
        request: the request.
        callable: the page handler.
        args: what it is called with by position.
    """

    __slots__ = ("args", "callable", "request")

    def __init__(self, request: Request, callable: Any, args: Collection[str]) -> None:  # noqa: A002  CherryPy's name
        self.request = request
        self.callable = callable
        self.args = args

    @property
    def kwargs(self) -> dict[str, Any]:
        """What it is called with by name: the parameters of the request as they are now."""
        return self.request.params

    def __call__(self) -> Any:
        """Check the parameters and call; HTTPError when they do not fit."""
        request = self.request
        return page(request, self.callable, self.args, request.params)


def page(request: Request, handler: Any, args: Collection[str], params: dict[str, Any]) -> Any:
    """Call a page handler after checking that the parameters fit; HTTPError when they do not."""
    body = request.made_body
    parameters = request.plan.parameters
    parameters.check(
        args, params, body.params if body is not None else (), explain=request.show_mismatched_params
    )
    return handler(request, *args, **params) if parameters.passes else handler(*args, **params)


def _nothing() -> None:
    """Stand for a handler that was set to None."""


_NOTHING = _nothing
