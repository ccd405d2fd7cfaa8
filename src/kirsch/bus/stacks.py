"""What every thread is doing right now, as text: for the error log and for shutdown reports."""

from __future__ import annotations

import sys
import threading
import traceback

__all__ = ["format_stacks"]


def format_stacks() -> str:
    """Return the stack of every Python thread, one headed block each, main thread first.

    The innermost call comes last, as in a traceback. The caller's own thread is among them. Values of
    variables are left out: they may hold secrets.
    """
    threads = {thread.ident: thread for thread in threading.enumerate()}
    main = threading.main_thread().ident
    blocks = []
    for ident, frame in sorted(sys._current_frames().items(), key=lambda item: (item[0] != main, item[0])):  # noqa: SLF001  documented for exactly this
        thread = threads.get(ident)
        name = "a thread Python did not start" if thread is None else repr(thread.name)
        daemon = " (daemon)" if thread is not None and thread.daemon else ""
        blocks.append(f"Thread {name}{daemon}, id {ident}:\n{''.join(traceback.format_stack(frame))}")
    return "\n".join(blocks)
