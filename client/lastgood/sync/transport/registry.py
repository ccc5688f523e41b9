"""The connections that this process shares: those of handles that were made without a client."""

import os
import threading
from weakref import WeakSet

from lastgood.locate import Location, locate, locate_again, may_autostart
from lastgood.sync.transport.connection import Connection
from lastgood.sync.transport.place import check_place

_VARIABLES = ("LASTGOOD_ADDRESS", "LASTGOOD_DATA_DIR", "XDG_STATE_HOME", "HOME")
"""What decides where the default daemon is."""

_lock = threading.RLock()  # the garbage collector may run anybody's code, also in a thread that has it
_known: "WeakSet[Connection]" = WeakSet()
_shared: dict[str, Connection] = {}
_default: dict[tuple[str | None, ...], Location] = {}


def register(connection: Connection) -> Connection:
    """Let a connection be found by the daemon that it leads to."""
    with _lock:
        _known.add(connection)
    return connection


def shared_connection(location: Location | None = None) -> Connection:
    """The connection that this process shares to a location; None is the default one. It is made with its first call.

    Raises:
        ClientUnusableError: no calls can be made here.
    """
    check_place()
    with _lock:
        where = location or _default_location()
        connection = _shared.get(where.target)
        if connection is None or connection.closed:
            connection = Connection(where, autostart=may_autostart())
            _known.add(connection)
            _shared[where.target] = connection
        return connection


def connection_to(daemon_id: str, copy_id: str, locator: str) -> Connection:
    """A connection to that copy of that store: one that is there, otherwise a shared one to where it was found."""
    with _lock:
        for connection in _known:
            if connection.serves(daemon_id, copy_id):
                return connection
    return shared_connection(locate_again(locator))


def _default_location() -> Location:
    """Where the default daemon is, as the environment says now."""
    values = tuple(map(os.environ.get, _VARIABLES))
    if values not in _default:
        _default[values] = locate()
    return _default[values]
