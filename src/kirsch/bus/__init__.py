"""The process bus and its plugins: the life cycle of a program, its signals and its background work.

Knows nothing of HTTP. Importing it subscribes and starts nothing.
"""

from kirsch.bus.autoreload import Autoreloader
from kirsch.bus.background import BackgroundTask, Monitor
from kirsch.bus.bus import Bus
from kirsch.bus.channels import ChannelFailures, Channels
from kirsch.bus.engine import Engine
from kirsch.bus.pidfile import PIDFile, PIDFileError
from kirsch.bus.plugins import Plugin
from kirsch.bus.privileges import DropPrivileges
from kirsch.bus.reexec import Reexec
from kirsch.bus.signals import NotMainThreadError, SignalHandler, Signals
from kirsch.bus.stacks import format_stacks
from kirsch.bus.states import State
from kirsch.bus.threads import ThreadManager
from kirsch.bus.wakeup import Wakeup

__all__ = [
    "Autoreloader",
    "BackgroundTask",
    "Bus",
    "ChannelFailures",
    "Channels",
    "DropPrivileges",
    "Engine",
    "Monitor",
    "NotMainThreadError",
    "PIDFile",
    "PIDFileError",
    "Plugin",
    "Reexec",
    "SignalHandler",
    "Signals",
    "State",
    "ThreadManager",
    "Wakeup",
    "format_stacks",
]
