"""The notebook, ready to be served.

    make demo
    kirsch run examples/notes/app.py

Settings, from the environment:
    NOTES_DATA       folder of the database; `data` beside this file without it
    NOTES_PASSWORD   password of the user `guest`; without it a new one is made, and printed, at each start
"""

import os
import secrets
import sys
from pathlib import Path

from notebook.accounts import hash_password
from notebook.seeding import seed
from notebook.site import make_application
from notebook.store import Store

import kirsch

HERE = Path(__file__).resolve().parent
USER = "guest"


def make_store():
    store = Store(Path(os.environ.get("NOTES_DATA", HERE / "data")) / "notes.sqlite3")
    if not store.count():
        seed(store, HERE / "seed", HERE.parent.parent / "docs")
    password = os.environ.get("NOTES_PASSWORD")
    if not password:
        password = f"{secrets.choice(CHERRIES)}-{secrets.choice(CHERRIES)}-{secrets.randbelow(10**6):06}"
        sys.stderr.write(f"To write, log in as {USER} with the password {password}\n")
    store.set_password(USER, hash_password(password))
    return store


CHERRIES = (
    "amarelle",
    "bing",
    "duke",
    "gean",
    "hedelfinger",
    "lapins",
    "marasca",
    "morello",
    "napoleon",
    "rainier",
)

store = make_store()
app = make_application(store)
# When the server has stopped, nobody uses the database any more.
kirsch.engine.subscribe("exit", store.close)

if __name__ == "__main__":
    kirsch.quickstart(app)
