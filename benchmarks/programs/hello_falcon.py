"""Falcon's hello."""

from __future__ import annotations

import falcon


class Hello:
    def on_get(self, _request: falcon.Request, response: falcon.Response) -> None:
        response.content_type = falcon.MEDIA_TEXT
        response.text = "Hello, world!"


app = falcon.App()
app.add_route("/", Hello())
