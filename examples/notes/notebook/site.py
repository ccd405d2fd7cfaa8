"""The objects whose methods are the pages: `/note/NAME/edit` calls `NotePages.edit(slug=NAME)`."""

import base64
import binascii
import json
import mimetypes
import re
import secrets
import urllib.parse
from pathlib import Path

import kirsch
from kirsch.http import format_disposition
from notebook.accounts import COOKIE, LIFE, Throttle, Visits, check_password
from notebook.markup import Writer
from notebook.pages import Page
from notebook.store import ConflictError

STATIC = Path(__file__).with_name("static")
PER_PAGE = 20
LONGEST_TITLE, LONGEST_BODY = 120, 200_000
LARGEST_FILE = 10 << 20

HEADERS = {
    # No scripts at all, and nothing from elsewhere.
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-cache",
}


class Guard:
    """What the pages ask about their visitor: who it is, whether a form is ours."""

    def __init__(self, store):
        self.store = store
        self.visits = Visits(store.secret("key", lambda: secrets.token_bytes(32)))
        self.throttle = Throttle()

    def visit(self):
        return self.visits.open(kirsch.request.cookies.get(COOKIE))

    def page(self):
        """Return what draws pages for this visitor; somebody new gets a cookie if there will be a form."""
        visit = self.visit()
        token = self.visits.token(visit) if visit else ""
        return Page(visit.user if visit else "", token, self.store.count())

    def require_user(self):
        """Return who is logged in, or send them to log in first."""
        visit = self.visit()
        if visit is None or not visit.user:
            request = kirsch.request
            after = request.path_info if request.method in {"GET", "HEAD"} else "/"
            raise kirsch.HTTPRedirect("/login?" + urllib.parse.urlencode({"after": after}))
        return visit.user

    def require_token(self, token):
        """Refuse a form that is not from a page of ours (CSRF)."""
        if not self.visits.is_token(self.visit(), token):
            raise kirsch.HTTPError(
                403, "This form is too old, or not ours. Go back, reload the page, and try again."
            )

    def let_in(self, user):
        """Begin a new visit. Never goes on with the old one, whose cookie somebody may have planted."""
        visit = self.visits.begin(user)
        kirsch.response.set_cookie(
            COOKIE,
            self.visits.seal(visit),
            max_age=LIFE,
            secure=kirsch.request.scheme == "https",
        )
        return visit

    def check(self, name, password):
        """Say whether name and password are right; HTTPError 429 after too many wrong ones."""
        wait = self.throttle.wait(name)
        if wait:
            raise kirsch.HTTPError(
                429,
                f"Too many wrong passwords for this name. Try again in {wait} seconds.",
                headers={"Retry-After": str(wait)},
            )
        if check_password(self.store.password(name), password):
            return True
        self.throttle.failed(name)
        return False


def allow(*methods):
    """Refuse other methods with 405."""
    if kirsch.request.method not in methods:
        raise kirsch.HTTPError(
            405, f"This page takes {' and '.join(methods)}.", headers={"Allow": ", ".join(methods)}
        )


def whole(text, lowest, highest):
    """Return a parameter as a whole number; HTTPError 400 if it is none, or not between the two."""
    # At most nine digits: SQLite's numbers end, Python's do not.
    if not (re.fullmatch("[0-9]{1,9}", text) and lowest <= int(text) <= highest):
        raise kirsch.HTTPError(400, f"A number from {lowest} to {highest} was expected, not {text[:40]!r}.")
    return int(text)


def problem_of(title, body):
    """Return what is wrong with a note, in a sentence; empty if nothing is."""
    if not isinstance(title, str) or not isinstance(body, str):
        return "Title and text are text."
    if not title.strip():
        return "A note needs a title."
    if len(title) > LONGEST_TITLE:
        return f"The title has {len(title)} characters; {LONGEST_TITLE} are the most."
    if len(body) > LONGEST_BODY:
        return f"The text has {len(body)} characters; {LONGEST_BODY} are the most."
    return ""


def single():
    """A tool: refuse a parameter that was sent twice, so that the pages need not expect lists."""
    for name, value in kirsch.request.params.items():
        if isinstance(value, list):
            raise kirsch.HTTPError(
                400, f"The parameter {name[:40]!r} was sent {len(value)} times; send it once."
            )


kirsch.tools.single = kirsch.Tool("before_handler", single)


class NotePages:
    """Everything about one note. The name comes out of the path: see `Notes`."""

    def __init__(self, store, guard):
        self._store = store
        self._guard = guard

    def _note(self, slug):
        note = self._store.note(slug)
        if note is None:
            raise kirsch.HTTPError(404, "There is no such note.")
        return note

    def _html(self, text):
        return Writer(self._store.slugs()).write(text)

    @kirsch.expose
    def index(self, slug):
        allow("GET", "HEAD")
        note = self._note(slug)
        linking = self._store.linking(note["title"], slug)
        return self._guard.page().note(note, self._html(note["body"]), linking, self._store.files(slug))

    @kirsch.expose
    def edit(self, slug, title="", body="", version="0", token=""):
        allow("GET", "HEAD", "POST")
        user = self._guard.require_user()
        note = self._note(slug)
        page, action = self._guard.page(), f"/note/{slug}/edit"
        if kirsch.request.method != "POST":
            return page.form(action, note["title"], note["body"], version=note["version"])
        self._guard.require_token(token)
        base = whole(version, 1, 10**9 - 1)
        problem = problem_of(title, body)
        if problem:
            kirsch.response.status = 422
            return page.form(action, title, body, version=base, problem=problem)
        try:
            self._store.change(slug, base, title, body, user)
        except ConflictError as conflict:
            kirsch.response.status = 409
            return page.form(
                action,
                title,
                body,
                version=conflict.note["version"],
                problem=f"{conflict.note['author']} saved this note while you were writing. Below is what it "
                "says now, then your text. Bring them together and save again.",
                theirs=conflict.note["body"],
            )
        raise kirsch.HTTPRedirect(f"/note/{slug}")

    @kirsch.expose
    def history(self, slug):
        allow("GET", "HEAD")
        return self._guard.page().history(self._note(slug), self._store.history(slug))

    @kirsch.expose
    def version(self, number, slug):
        allow("GET", "HEAD")
        note = self._note(slug)
        wanted = whole(number, 1, 10**9 - 1)
        for one in self._store.history(slug):
            if one["version"] == wanted:
                return self._guard.page().version(note, one, self._html(one["body"]))
        raise kirsch.HTTPError(404, "The note has no such version.")

    @kirsch.expose
    def attach(self, slug, token="", upload=None):
        allow("POST")
        user = self._guard.require_user()
        self._guard.require_token(token)
        self._note(slug)
        if not hasattr(upload, "file") or not upload.filename:
            raise kirsch.HTTPError(400, "Choose one file to upload.")
        if upload.size > LARGEST_FILE:
            raise kirsch.HTTPError(413, "A file may have 10 MiB at most.")
        self._store.attach(slug, upload.filename[-120:], upload.fullvalue(), user)
        raise kirsch.HTTPRedirect(f"/note/{slug}#files")

    @kirsch.expose
    def detach(self, slug, number, token=""):
        allow("POST")
        self._guard.require_user()
        self._guard.require_token(token)
        self._store.detach(slug, whole(number, 1, 10**9 - 1))
        raise kirsch.HTTPRedirect(f"/note/{slug}#files")

    @kirsch.expose
    def file(self, number, slug):
        allow("GET", "HEAD")
        file = self._store.file(slug, whole(number, 1, 10**9 - 1))
        if file is None:
            raise kirsch.HTTPError(404, "The note has no such file.")
        headers = kirsch.response.headers
        headers["Content-Type"] = mimetypes.guess_type(file["name"])[0] or "application/octet-stream"
        # Saved, never shown as part of this site: it may be a page with scripts.
        headers["Content-Disposition"] = format_disposition("attachment", file["name"])
        headers["Content-Security-Policy"] = "sandbox; default-src 'none'"
        return file["data"]


class Notes:
    """Takes the name of a note out of the path. Has no pages of its own, so no name is taken."""

    def __init__(self, pages):
        self._cp_dispatch = kirsch.popargs("slug", handler=pages)


class Static:
    """The files of the design, read once: nothing else can be asked for."""

    def __init__(self, folder):
        self._files = {
            path.name: (mimetypes.guess_type(path.name)[0], path.read_bytes())
            for path in folder.iterdir()
            if path.suffix in {".css", ".svg"}
        }

    @kirsch.expose
    def default(self, name):
        allow("GET", "HEAD")
        if name not in self._files:
            raise kirsch.NotFound
        media, data = self._files[name]
        kirsch.response.headers["Content-Type"] = media
        kirsch.response.headers["Cache-Control"] = "public, max-age=3600"
        return data


class Api:
    """The notes for programs. Who writes sends name and password (HTTP Basic); cookies mean nothing here."""

    def __init__(self, store, guard):
        self._store = store
        self._guard = guard

    @kirsch.expose
    @kirsch.tools.json_in()
    @kirsch.tools.json_out()
    def notes(self, slug=None, *, q="", limit="50", offset="0"):
        """List (GET /api/notes), read (GET /api/notes/NAME), write (POST /api/notes)."""
        if slug is not None:
            allow("GET", "HEAD")
            note = self._store.note(slug)
            if note is None:
                raise kirsch.HTTPError(404, "There is no such note.")
            return {**shown(note), "title": note["title"], "body": note["body"]}
        allow("GET", "HEAD", "POST")
        if kirsch.request.method == "POST":
            return self._write()
        most = whole(limit, 1, 500)
        rows = self._store.search(q, most) if q else self._store.recent(most, whole(offset, 0, 10**9 - 1))
        return {"notes": [{**shown(row), "title": row["title"]} for row in rows]}

    def _write(self):
        user = self._authenticate()
        sent = kirsch.request.json
        if not isinstance(sent, dict):
            raise kirsch.HTTPError(422, 'A note is {"title": "...", "body": "..."}.')
        title, body = sent.get("title", ""), sent.get("body", "")
        problem = problem_of(title, body)
        if problem:
            raise kirsch.HTTPError(422, problem)
        name = self._store.create(title, body, user)
        kirsch.response.status = 201
        kirsch.response.headers["Location"] = f"/api/notes/{name}"
        return {**shown(self._store.note(name)), "title": title.strip()}

    def _authenticate(self):
        scheme, _, credentials = kirsch.request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "basic":
            try:
                name, _, password = base64.b64decode(credentials, validate=True).decode().partition(":")
            except (binascii.Error, UnicodeDecodeError):
                raise kirsch.HTTPError(400, "The Authorization field is malformed.") from None
            if self._guard.check(name, password):
                return name
        challenge = {"WWW-Authenticate": 'Basic realm="Notebook", charset="UTF-8"'}
        raise kirsch.HTTPError(401, "Send name and password.", headers=challenge)


def shown(note):
    """Return what the API tells of a note in lists."""
    return {
        "slug": note["slug"],
        "url": kirsch.url(f"/note/{note['slug']}"),
        "author": note["author"],
        "changed": note["changed"],
        "version": note["version"],
    }


class Root:
    """The notebook."""

    def __init__(self, store):
        self._store = store
        self._guard = Guard(store)
        self.note = Notes(NotePages(store, self._guard))
        self.static = Static(STATIC)
        self.api = Api(store, self._guard)

    @kirsch.expose
    def index(self, page="1"):
        allow("GET", "HEAD")
        number = whole(page, 1, 100_000)
        notes = self._store.recent(PER_PAGE + 1, (number - 1) * PER_PAGE)
        return self._guard.page().recent(notes[:PER_PAGE], number, more=len(notes) > PER_PAGE)

    @kirsch.expose
    def search(self, q=""):
        allow("GET", "HEAD")
        return self._guard.page().found(q, self._store.search(q))

    @kirsch.expose
    def new(self, title="", body="", token="", **_):
        allow("GET", "HEAD", "POST")
        user = self._guard.require_user()
        page = self._guard.page()
        if kirsch.request.method != "POST":
            return page.form("/new", title[:LONGEST_TITLE], body)
        self._guard.require_token(token)
        problem = problem_of(title, body)
        if problem:
            kirsch.response.status = 422
            return page.form("/new", title, body, problem=problem)
        raise kirsch.HTTPRedirect(f"/note/{self._store.create(title, body, user)}")

    @kirsch.expose
    def login(self, name="", password="", after="/", token=""):
        allow("GET", "HEAD", "POST")
        if kirsch.request.method != "POST":
            # The form's token belongs to a visit, so one begins here for somebody who has none.
            visit = self._guard.visit() or self._guard.let_in("")
            return Page("", self._guard.visits.token(visit), self._store.count()).login(after=after)
        self._guard.require_token(token)
        if not self._guard.check(name, password):
            kirsch.response.status = 403
            return self._guard.page().login(name=name, after=after, problem="Name or password is wrong.")
        self._guard.let_in(name)
        # Kirsch itself refuses a redirect to another host; this keeps a planted one from being an error.
        raise kirsch.HTTPRedirect(
            after if after.startswith("/") and "//" not in after and "\\" not in after else "/"
        )

    @kirsch.expose
    def logout(self, token=""):
        allow("POST")
        self._guard.require_token(token)
        self._guard.let_in("")
        raise kirsch.HTTPRedirect("/")

    def error_page(self, status, message, traceback, version):  # noqa: ARG002  what Kirsch calls it with
        """Draw an error: JSON for the API, else a page."""
        if kirsch.request.path_info.startswith("/api/"):
            kirsch.response.headers["Content-Type"] = "application/json"
            return json.dumps({"status": int(status[:3]), "message": message})
        return self._guard.page().error(status, message)


def make_application(store):
    """Return the notebook, ready to be served."""
    root = Root(store)
    config = {
        "tools.single.on": True,
        "tools.trailing_slash.on": False,
        "error_page.default": root.error_page,
        "request.body.max_bytes": LARGEST_FILE + (1 << 20),
        **{f"response.headers.{name}": value for name, value in HEADERS.items()},
    }
    return kirsch.Application(root, config={"/": config})
