"""HTML that is escaped unless it is known to be HTML, and the plain text notes are written in."""

import re
import string
import unicodedata
from html import escape

LONGEST_SLUG = 80


class Html(str):
    """Text that is HTML already and is not escaped again."""

    __slots__ = ()


class _Escaping(string.Formatter):
    def format_field(self, value, format_spec):
        return value if isinstance(value, Html) else escape(format(value, format_spec))


_escaping = _Escaping()


def html(template, *args, **values):
    """Fill in a template of this program; every value that is not Html is escaped."""
    return Html(_escaping.vformat(template, args, values))


def join(pieces, between=""):
    """Join pieces; those that are not Html are escaped."""
    return Html(between.join(piece if isinstance(piece, Html) else escape(piece) for piece in pieces))


def slug(title):
    """Return the name of a note in addresses: small letters, digits and hyphens."""
    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain)[:LONGEST_SLUG].strip("-") or "note"


_INLINE = re.compile(
    r"`(?P<code>[^`]+)`"
    r"|\[\[(?P<note>[^\[\]|]{1,120})(?:\|(?P<label>[^\[\]]{1,200}))?\]\]"
    r"|\[(?P<text>[^\[\]]+)\]\((?P<url>[^()\s]+)\)"
    r"|\*\*(?P<strong>[^*]+)\*\*"
    r"|(?<![*\w])\*(?P<em>[^*\s][^*]*)\*(?![*\w])"
    r"|(?P<bare>https?://[^\s<>\"'()\[\]`]*[\w/])"
)
_SAFE_URL = re.compile(r"https?://|/(?![/\\])|#|mailto:[^\s]+@")
_HEADING = re.compile(r"(#{1,4}) +(.+?) *#*$")
_ITEM = re.compile(r"(?:[-*]|([0-9]{1,9})[.)]) +(.*)$")
_RULE = re.compile(r"-{3,}|\*{3,}")
_ROW = re.compile(r"\|.*\|")
_DELIMITERS = re.compile(r"\|(?: *:?-+:? *\|)+")


class Writer:
    """Turns the text of a note into HTML.

    `# Heading`, paragraphs, `- items`, `1. items`, `> quotes` that keep their lines, tables, fences of three
    backticks, `code`, **strong**, *emphasis*, [links](https://...) and [[links to other notes]].
    """

    def __init__(self, known):
        self._known = known

    def write(self, text):
        """Return the HTML of `text`. `known` slugs become links; others offer to write the note."""
        self._lines = text.replace("\r\n", "\n").replace("\r", "\n").expandtabs(4).split("\n")
        self._at = 0
        blocks = []
        while self._at < len(self._lines):
            if self._lines[self._at].strip():
                blocks.append(self._block())
            else:
                self._at += 1
        return join(blocks, "\n")

    def _block(self):
        line = self._lines[self._at]
        if line.startswith("```"):
            return self._fence()
        if heading := _HEADING.match(line):
            self._at += 1
            # The page has the title as its h1.
            level = Html(len(heading[1]) + 1)
            return html("<h{0}>{1}</h{0}>", level, self.inline(heading[2]))
        if _RULE.fullmatch(line.strip()):
            self._at += 1
            return Html("<hr>")
        if line.startswith(">"):
            return self._quote()
        if _ITEM.match(line):
            return self._list()
        following = self._lines[self._at + 1] if self._at + 1 < len(self._lines) else ""
        if _ROW.fullmatch(line.strip()) and _DELIMITERS.fullmatch(following.strip()):
            return self._table()
        return html("<p>{}</p>", self.inline(" ".join(self._paragraph())))

    def _paragraph(self):
        taken = [self._lines[self._at].strip()]
        self._at += 1
        while self._at < len(self._lines):
            line = self._lines[self._at]
            if not line.strip() or line.startswith(("```", ">", "#")) or _ITEM.match(line):
                break
            taken.append(line.strip())
            self._at += 1
        return taken

    def _fence(self):
        self._at += 1
        taken = []
        while self._at < len(self._lines) and not self._lines[self._at].startswith("```"):
            taken.append(self._lines[self._at])
            self._at += 1
        self._at += 1
        return html("<pre><code>{}</code></pre>", "\n".join(taken))

    def _quote(self):
        paragraphs = [[]]
        while self._at < len(self._lines) and self._lines[self._at].startswith(">"):
            line = self._lines[self._at][1:].strip()
            self._at += 1
            if line:
                paragraphs[-1].append(self.inline(line))
            elif paragraphs[-1]:
                paragraphs.append([])
        written = [html("<p>{}</p>", join(lines, "<br>\n")) for lines in paragraphs if lines]
        return html("<blockquote>{}</blockquote>", join(written, "\n"))

    def _list(self):
        first = _ITEM.match(self._lines[self._at])
        ordered = first[1] is not None
        items = []
        while self._at < len(self._lines):
            line = self._lines[self._at]
            item = _ITEM.match(line)
            if item and (item[1] is not None) == ordered:
                items.append([item[2]])
            elif items and line.startswith("  ") and line.strip():
                items[-1].append(line.strip())
            else:
                break
            self._at += 1
        written = join([html("<li>{}</li>", self.inline(" ".join(lines))) for lines in items], "\n")
        return html("<ol>\n{}\n</ol>" if ordered else "<ul>\n{}\n</ul>", written)

    def _table(self):
        head = self._row("th", self._lines[self._at])
        self._at += 2
        rows = []
        while self._at < len(self._lines) and _ROW.fullmatch(self._lines[self._at].strip()):
            rows.append(self._row("td", self._lines[self._at]))
            self._at += 1
        return html(
            '<div class="wide"><table>\n<thead>{}</thead>\n<tbody>\n{}\n</tbody>\n</table></div>',
            head,
            join(rows, "\n"),
        )

    def _row(self, tag, line):
        # A bar in code is written \| there.
        cells = re.split(r"(?<!\\)\|", line.strip()[1:-1])
        made = [html("<{0}>{1}</{0}>", tag, self.inline(cell.strip().replace("\\|", "|"))) for cell in cells]
        return html("<tr>{}</tr>", join(made))

    def inline(self, text, depth=0):
        """Return the HTML of a run of text."""
        pieces = []
        end = 0
        for match in _INLINE.finditer(text):
            pieces.append(text[end : match.start()])
            pieces.append(self._span(match, depth))
            end = match.end()
        pieces.append(text[end:])
        return join(pieces)

    def _span(self, match, depth):
        kind = match.lastgroup
        if kind == "code":
            return html("<code>{}</code>", match["code"])
        if kind == "bare":
            return html('<a href="{0}">{0}</a>', match["bare"])
        if kind in {"note", "label"}:
            name = slug(match["note"])
            shown = match["label"] or match["note"]
            if name in self._known:
                return html('<a href="/note/{}">{}</a>', name, shown)
            return html(
                '<a class="missing" href="/new?title={}" title="Not written yet">{}</a>',
                quote_title(match["note"]),
                shown,
            )
        inner = match[kind if kind != "url" else "text"]
        shown = self.inline(inner, depth + 1) if depth < 2 else inner  # noqa: PLR2004  deep enough for people
        if kind != "url":
            return html("<{0}>{1}</{0}>", kind, shown)
        if not _SAFE_URL.match(match["url"]):
            return html("{} ({})", shown, match["url"])
        return html('<a href="{}">{}</a>', match["url"], shown)


def quote_title(title):
    """Return a title as it stands in a query."""
    from urllib.parse import quote_plus

    return quote_plus(title)
