"""Flask's hello."""

from __future__ import annotations

from flask import Flask, Response

app = Flask(__name__)


@app.get("/")
def index() -> Response:
    return Response("Hello, world!", mimetype="text/plain")
