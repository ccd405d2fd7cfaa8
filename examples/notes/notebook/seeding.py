"""What a new notebook begins with: the texts in `seed/`, and the manual of Kirsch if it lies near."""

import re
from pathlib import Path

from notebook.markup import slug

_LINK = re.compile(r"\]\(([a-z]+)\.md(?:#[a-z0-9-]*)?\)")


def seed(store, texts, manual):
    """Write the first notes. In both folders the first line of a file is its title, behind `# `."""
    pages = sorted(Path(manual).glob("*.md"))
    titles = {path.stem: _parts(path)[0] for path in pages}
    for path in pages:
        title, body = _parts(path)
        # Files of the manual link to files, notes to notes.
        linked = _LINK.sub(
            lambda match: f"](/note/{slug(titles[match[1]])})" if match[1] in titles else match[0], body
        )
        store.create(title, linked, "manual")
    for path in sorted(Path(texts).glob("*.md")):
        store.create(*_parts(path), "orchard")
    welcome = store.note("welcome")
    if welcome is not None:
        # Changed last, it comes first.
        store.change("welcome", welcome["version"], welcome["title"], welcome["body"], "orchard")


def _parts(path):
    title, _, body = path.read_text("utf-8").partition("\n")
    return title.removeprefix("# ").strip(), body.strip()
