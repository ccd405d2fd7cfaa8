"""A library's catalogue in Falcon: resources, hooks, middleware, an upload, a download, a stream.

kirsch run examples/falcon_app/library.py
"""

import json
import re
import threading
import uuid
from pathlib import Path

import falcon

ISBN = re.compile(r"97[89][0-9]{10}")


class Catalogue:
    """The books, by ISBN. Every thread may use it."""

    def __init__(self):
        self._lock = threading.Lock()
        self._books = {}
        self._covers = {}

    def all(self):
        with self._lock:
            return sorted(self._books.values(), key=lambda book: book["isbn"])

    def get(self, isbn):
        with self._lock:
            book = self._books.get(isbn)
        if book is None:
            raise falcon.HTTPNotFound(title="No such book", description=f"Nothing has the ISBN {isbn}.")
        return book

    def put(self, book):
        with self._lock:
            new = book["isbn"] not in self._books
            self._books[book["isbn"]] = book
        return new

    def remove(self, isbn):
        self.get(isbn)
        with self._lock:
            self._books.pop(isbn, None)
            self._covers.pop(isbn, None)

    def cover(self, isbn):
        with self._lock:
            return self._covers.get(isbn)

    def set_cover(self, isbn, data, media_type):
        self.get(isbn)
        with self._lock:
            self._covers[isbn] = (data, media_type)


class RequestId:
    """Middleware: names every request, as the client did or anew."""

    def process_request(self, req, resp):
        req.context.id = req.get_header("X-Request-ID") or str(uuid.uuid4())
        resp.set_header("X-Request-ID", req.context.id)


def valid_isbn(_req, _resp, _resource, params):
    if not ISBN.fullmatch(params["isbn"]):
        raise falcon.HTTPBadRequest(
            title="Not an ISBN", description="It has 13 digits and begins with 978 or 979."
        )


class Books:
    def __init__(self, catalogue):
        self.catalogue = catalogue

    def on_get(self, req, resp):
        author = req.get_param("author")
        resp.media = [book for book in self.catalogue.all() if author is None or book.get("author") == author]

    def on_post(self, req, resp):
        book = req.get_media()
        if not isinstance(book, dict) or not isinstance(book.get("title"), str):
            raise falcon.HTTPUnprocessableEntity(title="Not a book", description="It needs a title.")
        valid_isbn(req, resp, self, {"isbn": str(book.get("isbn", ""))})
        new = self.catalogue.put(book)
        resp.status = falcon.HTTP_201 if new else falcon.HTTP_200
        resp.location = f"/books/{book['isbn']}"
        resp.media = book


@falcon.before(valid_isbn)
class Book:
    def __init__(self, catalogue):
        self.catalogue = catalogue

    def on_get(self, _req, resp, isbn):
        resp.media = self.catalogue.get(isbn)

    def on_delete(self, _req, resp, isbn):
        self.catalogue.remove(isbn)
        resp.status = falcon.HTTP_204


@falcon.before(valid_isbn)
class Cover:
    def __init__(self, catalogue):
        self.catalogue = catalogue

    def on_get(self, _req, resp, isbn):
        found = self.catalogue.cover(isbn)
        if found is None:
            raise falcon.HTTPNotFound(title="No cover", description="Nobody has uploaded one.")
        resp.data, resp.content_type = found
        resp.set_header("X-Content-Type-Options", "nosniff")

    def on_put(self, req, resp, isbn):
        self.catalogue.set_cover(
            isbn, req.bounded_stream.read(), req.content_type or "application/octet-stream"
        )
        resp.status = falcon.HTTP_204

    def on_post(self, req, resp, isbn):
        for part in req.get_media():
            if part.name == "cover":
                self.catalogue.set_cover(isbn, part.get_data(), part.content_type)
        resp.status = falcon.HTTP_303
        resp.location = f"/books/{isbn}/cover"


class Export:
    """Every book as a line of JSON, written as it is made."""

    def __init__(self, catalogue):
        self.catalogue = catalogue

    def on_get(self, _req, resp):
        resp.content_type = "application/x-ndjson"
        resp.stream = (json.dumps(book).encode() + b"\n" for book in self.catalogue.all())


class Source:
    """This file, given to the server as a file, so that it may send it the fastest way."""

    def on_get(self, req, resp):
        path = Path(__file__)
        wrapper = req.env["wsgi.file_wrapper"]
        resp.content_type = "text/x-python; charset=utf-8"
        resp.downloadable_as = path.name
        resp.content_length = path.stat().st_size
        resp.stream = wrapper(path.open("rb"))


def missing(req, _resp):
    raise falcon.HTTPNotFound(title="Nothing here", description=f"{req.path} is no part of the library.")


def create():
    catalogue = Catalogue()
    made = falcon.App(middleware=[RequestId()])
    made.add_route("/books", Books(catalogue))
    made.add_route("/books/{isbn}", Book(catalogue))
    made.add_route("/books/{isbn}/cover", Cover(catalogue))
    made.add_route("/export", Export(catalogue))
    made.add_route("/source", Source())
    made.add_sink(missing, "/")
    return made


app = create()
