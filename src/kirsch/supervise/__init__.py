"""The supervisor: worker processes that are started, watched, replaced and stopped as one program.

Knows nothing of HTTP and nothing of the command line: what a worker is, it is told by a function that starts
one. All ends of it meet in lines of JSON over sockets.
"""

from kirsch.supervise.backoff import Backoff
from kirsch.supervise.control import Control, ControlError, ask, place_of
from kirsch.supervise.link import Link, pair
from kirsch.supervise.member import Failure, Member, fate, start_member
from kirsch.supervise.processors import processors
from kirsch.supervise.replacement import Replacement, Successor
from kirsch.supervise.strangers import reap_strangers
from kirsch.supervise.supervisor import Limits, Supervisor
from kirsch.supervise.worker import Tally, Worker, resident_bytes

__all__ = [
    "Backoff",
    "Control",
    "ControlError",
    "Failure",
    "Limits",
    "Link",
    "Member",
    "Replacement",
    "Successor",
    "Supervisor",
    "Tally",
    "Worker",
    "ask",
    "fate",
    "pair",
    "place_of",
    "processors",
    "reap_strangers",
    "resident_bytes",
    "start_member",
]
