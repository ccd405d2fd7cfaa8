"""Notes, their history, files, users: one SQLite database. Every thread may use it."""

import contextlib
import queue
import re
import sqlite3
import time
from pathlib import Path

from notebook.markup import slug

SCHEMA = """
create table if not exists users (
    name text primary key,
    password text not null
);
create table if not exists notes (
    id integer primary key,
    slug text not null unique,
    title text not null,
    body text not null,
    version integer not null,
    author text not null,
    changed real not null
);
create index if not exists notes_by_change on notes (changed desc);
create table if not exists revisions (
    note integer not null references notes (id) on delete cascade,
    version integer not null,
    title text not null,
    body text not null,
    author text not null,
    changed real not null,
    primary key (note, version)
);
create table if not exists files (
    id integer primary key,
    note integer not null references notes (id) on delete cascade,
    name text not null,
    data blob not null,
    author text not null,
    added real not null
);
create table if not exists secrets (
    name text primary key,
    value blob not null
);
"""

# The notes' own words, and nothing else, are searched; the triggers keep the index true.
INDEX = """
create virtual table if not exists words using fts5 (
    title, body, content=notes, content_rowid=id, tokenize='porter unicode61 remove_diacritics 2'
);
create trigger if not exists words_insert after insert on notes begin
    insert into words (rowid, title, body) values (new.id, new.title, new.body);
end;
create trigger if not exists words_update after update on notes begin
    insert into words (words, rowid, title, body) values ('delete', old.id, old.title, old.body);
    insert into words (rowid, title, body) values (new.id, new.title, new.body);
end;
create trigger if not exists words_delete after delete on notes begin
    insert into words (words, rowid, title, body) values ('delete', old.id, old.title, old.body);
end;
"""

BEGIN_HIT, END_HIT = "\x02", "\x03"
"""Around what was found, in the excerpts of a search: characters that no note can hold."""

_NEVER = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


class ConflictError(Exception):
    """Somebody else changed the note in the meantime."""

    def __init__(self, note):
        super().__init__(note["slug"])
        self.note = note


class Store:
    """The database in `path`. `close` it in the end; until then connections are kept for the next user."""

    def __init__(self, path):
        self._path = Path(path)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        # As many as threads ever worked at once. LIFO: the one whose cache is warm first.
        self._idle = queue.LifoQueue()
        with self._connection() as connection:
            connection.execute("pragma journal_mode = wal")
            connection.executescript(SCHEMA)
            try:
                connection.executescript(INDEX)
                self.indexed = True
            except sqlite3.OperationalError:  # an SQLite without FTS5
                self.indexed = False

    @contextlib.contextmanager
    def _connection(self):
        try:
            connection = self._idle.get_nowait()
        except queue.Empty:
            connection = sqlite3.connect(
                self._path, timeout=10, isolation_level=None, check_same_thread=False
            )
            connection.row_factory = sqlite3.Row
            connection.execute("pragma foreign_keys = on")
            connection.execute("pragma synchronous = normal")
        try:
            yield connection
        finally:
            self._idle.put(connection)

    @contextlib.contextmanager
    def _writing(self):
        with self._connection() as connection:
            connection.execute("begin immediate")
            try:
                yield connection
            except BaseException:
                connection.execute("rollback")
                raise
            connection.execute("commit")

    def close(self):
        """Close the connections nobody uses."""
        with contextlib.suppress(queue.Empty):
            while True:
                self._idle.get_nowait().close()

    # --- notes ---

    def count(self):
        with self._connection() as connection:
            return connection.execute("select count(*) from notes").fetchone()[0]

    def recent(self, limit, offset=0):
        with self._connection() as connection:
            return connection.execute(
                "select slug, title, author, changed, version, substr(body, 1, 400) as opening"
                " from notes order by changed desc, id desc limit ? offset ?",
                (limit, offset),
            ).fetchall()

    def slugs(self):
        with self._connection() as connection:
            return {row[0] for row in connection.execute("select slug from notes")}

    def note(self, name):
        """Return a note, or None."""
        with self._connection() as connection:
            return connection.execute("select * from notes where slug = ?", (name,)).fetchone()

    def linking(self, title, name):
        """Return the notes that link to a note."""
        with self._connection() as connection:
            rows = connection.execute(
                "select slug, title from notes where slug != ? and"
                " (instr(lower(body), lower(?)) or instr(lower(body), lower(?))) order by title limit 50",
                (name, f"[[{title}]]", f"[[{title}|"),
            )
            return rows.fetchall()

    def create(self, title, body, author):
        """Write a new note and return its slug, a number behind it if others have that title."""
        title, body = clean(title), clean(body)
        with self._writing() as connection:
            wanted = name = slug(title)
            number = 2
            while connection.execute("select 1 from notes where slug = ?", (name,)).fetchone():
                name = f"{wanted}-{number}"
                number += 1
            connection.execute(
                "insert into notes (slug, title, body, version, author, changed) values (?, ?, ?, 1, ?, ?)",
                (name, title, body, author, time.time()),
            )
        return name

    def change(self, name, version, title, body, author):
        """Write the next version of a note; ConflictError if `version` is not the one it has."""
        with self._writing() as connection:
            note = connection.execute("select * from notes where slug = ?", (name,)).fetchone()
            if note["version"] != version:
                raise ConflictError(note)
            connection.execute(
                "insert into revisions (note, version, title, body, author, changed)"
                " select id, version, title, body, author, changed from notes where id = ?",
                (note["id"],),
            )
            connection.execute(
                "update notes set title = ?, body = ?, author = ?, changed = ?, version = version + 1"
                " where id = ?",
                (clean(title), clean(body), author, time.time(), note["id"]),
            )

    def history(self, name):
        """Return the versions of a note, the newest first."""
        with self._connection() as connection:
            return connection.execute(
                "select version, title, body, author, changed from notes where slug = ? union all"
                " select r.version, r.title, r.body, r.author, r.changed from revisions r"
                " join notes n on n.id = r.note where n.slug = ? order by 1 desc",
                (name, name),
            ).fetchall()

    def search(self, text, limit=50):
        """Return the notes that have every word of `text`, or one that begins with it, the best first."""
        words = re.findall(r"\w+", text)[:16]
        if not words:
            return []
        with self._connection() as connection:
            if self.indexed:
                return connection.execute(
                    "select n.slug, n.title, n.author, n.changed, n.version,"
                    " snippet(words, 1, ?, ?, ' … ', 40) as opening"
                    " from words join notes n on n.id = words.rowid where words match ?"
                    " order by bm25(words, 5.0, 1.0) limit ?",
                    (BEGIN_HIT, END_HIT, " ".join(f'"{word}"*' for word in words), limit),
                ).fetchall()
            condition = " and ".join(["instr(lower(title || ' ' || body), lower(?))"] * len(words))
            return connection.execute(
                "select slug, title, author, changed, version, substr(body, 1, 400) as opening"
                " from notes where " + condition + " order by changed desc limit ?",
                (*words, limit),
            ).fetchall()

    # --- files ---

    def attach(self, name, filename, data, author):
        with self._writing() as connection:
            connection.execute(
                "insert into files (note, name, data, author, added)"
                " select id, ?, ?, ?, ? from notes where slug = ?",
                (clean(filename), data, author, time.time(), name),
            )

    def files(self, name):
        with self._connection() as connection:
            return connection.execute(
                "select f.id, f.name, length(f.data) as size, f.author, f.added from files f"
                " join notes n on n.id = f.note where n.slug = ? order by f.name, f.id",
                (name,),
            ).fetchall()

    def file(self, name, number):
        """Return a file of a note, or None."""
        with self._connection() as connection:
            return connection.execute(
                "select f.* from files f join notes n on n.id = f.note where n.slug = ? and f.id = ?",
                (name, number),
            ).fetchone()

    def detach(self, name, number):
        with self._writing() as connection:
            connection.execute(
                "delete from files where id = ? and note = (select id from notes where slug = ?)",
                (number, name),
            )

    # --- users and secrets ---

    def password(self, user):
        """Return the password of a user as it is kept, or None."""
        with self._connection() as connection:
            row = connection.execute("select password from users where name = ?", (user,)).fetchone()
        return None if row is None else row["password"]

    def set_password(self, user, kept):
        with self._writing() as connection:
            connection.execute(
                "insert into users (name, password) values (?, ?)"
                " on conflict (name) do update set password = excluded.password",
                (user, kept),
            )

    def secret(self, name, make):
        """Return a secret; it is made when it is first asked for, and stays."""
        with self._writing() as connection:
            connection.execute("insert or ignore into secrets (name, value) values (?, ?)", (name, make()))
            return connection.execute("select value from secrets where name = ?", (name,)).fetchone()["value"]


def clean(text):
    """Return text without the control characters that nobody writes, and with plain line ends."""
    return _NEVER.sub("", text.replace("\r\n", "\n").replace("\r", "\n")).strip()
