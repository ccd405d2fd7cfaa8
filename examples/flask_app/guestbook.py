"""A guestbook in Flask, with Jinja templates and SQLite. Nothing in it knows which server it runs on.

flask --app guestbook run
kirsch run examples/flask_app/guestbook.py
"""

import csv
import io
import os
import sqlite3
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from flask import (
    Flask,
    abort,
    flash,
    g,
    jsonify,
    redirect,
    render_template,
    request,
    send_file,
    url_for,
)

app = Flask(__name__)
app.config.update(
    SECRET_KEY=os.environ.get("GUESTBOOK_KEY", "for the demonstration only"),
    DATABASE=os.environ.get("GUESTBOOK_DB", str(Path(tempfile.gettempdir()) / "guestbook.sqlite3")),
    MAX_CONTENT_LENGTH=1 << 20,
)

SCHEMA = """
create table if not exists entries (
    id integer primary key,
    name text not null,
    message text not null,
    picture blob,
    written text not null
)
"""


def database():
    if "database" not in g:
        g.database = sqlite3.connect(app.config["DATABASE"])
        g.database.row_factory = sqlite3.Row
        g.database.execute(SCHEMA)
    return g.database


@app.teardown_appcontext
def close_database(_error):
    connection = g.pop("database", None)
    if connection is not None:
        connection.close()


@app.get("/")
def index():
    entries = database().execute("select * from entries order by id desc limit 50").fetchall()
    return render_template("index.html", entries=entries)


@app.post("/sign")
def sign():
    name = request.form.get("name", "").strip()
    message = request.form.get("message", "").strip()
    if not name or not message:
        flash("Please give your name and a few words.")
        return redirect(url_for("index"))
    picture = request.files.get("picture")
    with database() as connection:
        connection.execute(
            "insert into entries (name, message, picture, written) values (?, ?, ?, ?)",
            (name, message, picture.read() if picture else None, datetime.now(UTC).isoformat()),
        )
    flash(f"Thank you, {name}.")
    return redirect(url_for("index"))


@app.get("/entries/<int:number>/picture")
def picture(number):
    row = database().execute("select picture from entries where id = ?", (number,)).fetchone()
    if row is None or not row["picture"]:
        abort(404, "This entry has no picture.")
    return send_file(
        io.BytesIO(row["picture"]),
        as_attachment=True,
        download_name=f"picture-{number}.bin",
        conditional=True,
    )


@app.get("/entries.json")
def entries_json():
    rows = database().execute("select id, name, message, written from entries order by id").fetchall()
    return jsonify([dict(row) for row in rows])


@app.get("/entries.csv")
def entries_csv():
    rows = database().execute("select id, name, message, written from entries order by id").fetchall()

    def lines():
        buffer = io.StringIO()
        writer = csv.writer(buffer)
        for row in [("id", "name", "message", "written"), *rows]:
            writer.writerow(row)
            yield buffer.getvalue()
            buffer.seek(0)
            buffer.truncate()

    return app.response_class(lines(), mimetype="text/csv")


@app.get("/source")
def source():
    return send_file(__file__, mimetype="text/x-python", conditional=True)


@app.errorhandler(404)
def not_found(error):
    return render_template("error.html", error=error), 404


@app.get("/fail")
def fail():
    raise RuntimeError("this page always fails")
