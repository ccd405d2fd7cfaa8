"""The pages. Every value is escaped where it goes in; nothing here needs a script in the browser."""

import re
import time

from notebook.markup import Html, html, join, quote_title
from notebook.store import BEGIN_HIT, END_HIT

LAYOUT = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title} · Notebook</title>
<link rel="stylesheet" href="/static/notebook.css">
<link rel="icon" type="image/svg+xml" href="/static/cherry.svg">
</head>
<body>
<a class="skip" href="#main">To the content</a>
<header>
<a class="brand" href="/"><img src="/static/cherry.svg" alt="" width="28" height="28"> Notebook</a>
<form role="search" action="/search" method="get">
<input type="search" name="q" value="{query}" placeholder="Search the notes" aria-label="Search the notes">
<button>Search</button>
</form>
<nav aria-label="Main">{links}</nav>
</header>
<main id="main">
{notice}{content}
</main>
<footer>
<p>{count} notes · <a href="/api/notes">JSON</a> · served by <a href="/note/kirsch">Kirsch</a></p>
</footer>
</body>
</html>
"""


class Page:
    """Draws pages for one visitor.

    Parameters:
        user: who is logged in; empty for nobody.
        token: what forms carry; empty for pages without forms.
        count: number of notes.
    """

    def __init__(self, user="", token="", count=0):
        self.user = user
        self.count = count
        self.hidden = html('<input type="hidden" name="token" value="{}">', token) if token else Html("")

    def _draw(self, title, content, *, query="", notice=""):
        if self.user:
            links = html(
                '<a class="button" href="/new">New note</a> <form action="/logout" method="post">{}'
                '<button class="quiet" title="Logged in as {}">Log out {}</button></form>',
                self.hidden,
                self.user,
                self.user,
            )
        else:
            links = Html('<a class="button" href="/login">Log in</a>')
        return html(
            LAYOUT,
            title=title,
            query=query,
            links=links,
            count=self.count,
            notice=html('<p class="notice" role="status">{}</p>\n', notice) if notice else Html(""),
            content=content,
        )

    # --- lists ---

    def recent(self, notes, number, more):
        """The notes that were changed last; `more` says whether there are older ones."""
        if not notes:
            content = Html("<h1>Notes</h1>\n<p>Nothing is written yet.</p>")
            return self._draw("Notes", content)
        pages = []
        if number > 1:
            pages.append(html('<a rel="prev" href="/?page={}">Newer</a>', number - 1))
        if more:
            pages.append(html('<a rel="next" href="/?page={}">Older</a>', number + 1))
        content = html(
            '<h1>Notes</h1>\n<ul class="notes">\n{}\n</ul>\n{}',
            join([self._entry(note, plain(note["opening"])) for note in notes], "\n"),
            html('<nav class="pages" aria-label="More notes">{}</nav>', join(pages, " "))
            if pages
            else Html(""),
        )
        return self._draw("Notes", content)

    def found(self, query, notes):
        """What a search found."""
        if not query.strip():
            said = Html("<p>Type a word above; notes are found by the beginnings of their words.</p>")
        elif notes:
            entries = join([self._entry(note, marked(note["opening"])) for note in notes], "\n")
            number = "One note" if len(notes) == 1 else f"{len(notes)} notes"
            said = html('<p>{}, the best first.</p>\n<ul class="notes">\n{}\n</ul>', number, entries)
        else:
            said = html(
                '<p>No note has all of these words. <a href="/new?title={}">Write one?</a></p>',
                quote_title(query),
            )
        return self._draw(
            f"Search: {query}" if query else "Search", html("<h1>Search</h1>\n{}", said), query=query
        )

    def _entry(self, note, opening):
        return html(
            '<li><h2><a href="/note/{}">{}</a></h2>\n<p>{}</p>\n<p class="by">{}</p></li>',
            note["slug"],
            note["title"],
            opening,
            by(note),
        )

    # --- one note ---

    def note(self, note, body, linking, files):
        """A note to be read."""
        slug = note["slug"]
        actions = [html('<a href="/note/{}/history">History</a>', slug)]
        if self.user:
            actions.insert(0, html('<a class="button" href="/note/{}/edit">Edit</a>', slug))
        content = html(
            '<article>\n<h1>{}</h1>\n<p class="by">{}</p>\n<div class="text">\n{}\n</div>\n</article>\n'
            '<p class="actions">{}</p>\n{}{}',
            note["title"],
            by(note),
            body,
            join(actions, " "),
            self._files(slug, files),
            self._linking(linking),
        )
        return self._draw(note["title"], content)

    def _files(self, slug, files):
        if not files and not self.user:
            return Html("")
        rows = join([self._file(slug, file) for file in files], "\n")
        form = html(
            '<form class="upload" action="/note/{}/attach" method="post" enctype="multipart/form-data">{}\n'
            '<label for="upload">Add a file, up to 10 MiB</label>\n'
            '<input type="file" id="upload" name="upload" required> <button>Upload</button>\n</form>\n',
            slug,
            self.hidden,
        )
        return html(
            '<section aria-labelledby="files">\n<h2 id="files">Files</h2>\n{}{}</section>\n',
            html('<ul class="files">\n{}\n</ul>\n', rows) if files else Html(""),
            form if self.user else Html(""),
        )

    def _file(self, slug, file):
        remove = html(
            ' <form action="/note/{}/detach" method="post">{}<input type="hidden" name="number" value="{}">'
            '<button class="quiet">Remove</button></form>',
            slug,
            self.hidden,
            file["id"],
        )
        return html(
            '<li><a href="/note/{}/file/{}">{}</a> <span class="by">{}, {}</span>{}</li>',
            slug,
            file["id"],
            file["name"],
            size(file["size"]),
            file["author"],
            remove if self.user else Html(""),
        )

    def _linking(self, notes):
        if not notes:
            return Html("")
        links = join([html('<a href="/note/{}">{}</a>', note["slug"], note["title"]) for note in notes], ", ")
        return html(
            '<section aria-labelledby="from">\n<h2 id="from">Linked from</h2>\n<p>{}</p>\n</section>\n', links
        )

    def history(self, note, versions):
        """All versions of a note."""
        rows = join(
            [
                html(
                    '<li><a href="/note/{}/version/{}">Version {}</a> '
                    '<span class="by">{}, {} words</span></li>',
                    note["slug"],
                    one["version"],
                    one["version"],
                    by(one),
                    len(one["body"].split()),
                )
                for one in versions
            ],
            "\n",
        )
        content = html(
            '<h1>History</h1>\n<p><a href="/note/{}">{}</a></p>\n<ol class="versions" reversed>\n{}\n</ol>',
            note["slug"],
            note["title"],
            rows,
        )
        return self._draw(f"History of {note['title']}", content)

    def version(self, note, one, body):
        """An old version of a note."""
        content = html(
            '<p class="notice">This is version {} of <a href="/note/{}">{}</a>, by {}.</p>\n'
            '<article>\n<h1>{}</h1>\n<div class="text">\n{}\n</div>\n</article>',
            one["version"],
            note["slug"],
            note["title"],
            by(one),
            one["title"],
            body,
        )
        return self._draw(f"{one['title']}, version {one['version']}", content)

    def form(self, action, title, body, *, version=0, problem="", theirs=None):
        """The form a note is written with."""
        told = html('<p class="problem" role="alert">{}</p>\n', problem) if problem else Html("")
        other = (
            html("<details open>\n<summary>What it says now</summary>\n<pre>{}</pre>\n</details>\n", theirs)
            if theirs is not None
            else Html("")
        )
        content = html(
            '<h1>{heading}</h1>\n{told}{other}<form class="write" action="{action}" method="post">{hidden}\n'
            '<input type="hidden" name="version" value="{version}">\n'
            '<label for="title">Title</label>\n'
            '<input id="title" name="title" value="{title}" maxlength="120" required>\n'
            '<label for="body">Text</label>\n'
            '<textarea id="body" name="body" rows="20" spellcheck="true">\n{body}</textarea>\n'
            '<p class="hint">'
            "# Heading · **strong** · *emphasis* · `code` · - item · 1. item · &gt; quote · "
            "[[Another note]] · [text](https://…)</p>\n"
            '<p class="actions"><button>Save</button> <a href="{back}">Cancel</a></p>\n</form>',
            heading="Edit" if version else "New note",
            told=told,
            other=other,
            action=action,
            hidden=self.hidden,
            version=version,
            title=title,
            body=body,
            back=action.removesuffix("/edit") if version else "/",
        )
        return self._draw(f"Edit {title}" if version else "New note", content)

    # --- everything else ---

    def login(self, *, name="", after="/", problem=""):
        """The form to log in."""
        told = html('<p class="problem" role="alert">{}</p>\n', problem) if problem else Html("")
        content = html(
            '<h1>Log in</h1>\n{}<form class="write narrow" action="/login" method="post">{}\n'
            '<input type="hidden" name="after" value="{}">\n'
            '<label for="name">Name</label>\n'
            '<input id="name" name="name" value="{}" autocomplete="username" required>\n'
            '<label for="password">Password</label>\n'
            '<input id="password" name="password" type="password" autocomplete="current-password" required>\n'
            '<p class="actions"><button>Log in</button></p>\n</form>\n'
            '<p class="hint">Reading needs no login. The name and the password for writing were printed '
            "where this program was started.</p>",
            told,
            self.hidden,
            after,
            name,
        )
        return self._draw("Log in", content)

    def error(self, status, message):
        """An error."""
        content = html('<h1>{}</h1>\n<p>{}</p>\n<p><a href="/">All notes</a></p>', status, message)
        return self._draw(status, content)


def by(note):
    """Return who wrote a note, and when."""
    when = time.gmtime(note["changed"])
    return html(
        '{} · <time datetime="{}">{}</time>',
        note["author"],
        time.strftime("%Y-%m-%dT%H:%M:%SZ", when),
        time.strftime("%d %B %Y, %H:%M UTC", when).lstrip("0"),
    )


_MARKS = re.compile(r"^#+ +|^> ?|^[-*] +|\|?(?: *:?-{3,}:? *\|)+|`{1,3}|\*{1,2}|\[\[|\]\]", re.MULTILINE)

_LINK = re.compile(r"\[([^\[\]]+)\]\([^()\s]+\)")


def plain(text, length=200):
    """Return the beginning of a note without its marks."""
    text = _LINK.sub(r"\1", text)
    text = " ".join(_MARKS.sub("", text).replace("|", " ").split())
    if len(text) <= length:
        return text
    return text[:length].rpartition(" ")[0] + " …"


def marked(text):
    """Return an excerpt of a search without its marks, and with its hits marked."""
    pieces = []
    for piece in plain(text, len(text)).split(BEGIN_HIT):
        hit, found, rest = piece.partition(END_HIT)
        pieces.append(html("<mark>{}</mark>{}", hit, rest) if found else html("{}", piece))
    return join(pieces)


def size(number):
    """Return a number of bytes as people read it."""
    if number < 1024:  # noqa: PLR2004  bytes of a KiB
        return f"{number} bytes"
    kib = number / 1024
    return f"{kib:.0f} KiB" if kib < 1024 else f"{kib / 1024:.1f} MiB"  # noqa: PLR2004  KiB of a MiB
