"""The connections that an event loop shares: those of handles that were made without a client."""

from weakref import WeakSet

from lastgood.locate import Location, locate, locate_again, may_autostart
from lastgood.transport.connection import Connection
from lastgood.transport.place import running_loop

_ATTRIBUTE = "_lastgood_connections"
_known: "WeakSet[Connection]" = WeakSet()


def register(connection: Connection) -> Connection:
    """Let a connection be found by the daemon that it leads to."""
    _known.add(connection)
    return connection


def shared_connection(location: Location | None = None) -> Connection:
    """The connection that this event loop shares to a location; None is the default one.

    It is made with its first call, and lives and ends with the loop, which holds it. (A table here, even one with weak
    keys, would keep the loop alive through the connection.)

    Raises:
        ClientUnusableError: this process was forked from one that was connected, or no event loop runs here.
    """
    loop = running_loop()
    connections: dict[str, Connection] | None = getattr(loop, _ATTRIBUTE, None)
    if connections is None:
        connections = {}
        setattr(loop, _ATTRIBUTE, connections)
    key = "" if location is None else location.target
    connection = connections.get(key)
    if connection is None or connection.closed:
        connection = register(Connection(location or locate(), autostart=may_autostart()))
        connections[key] = connection
    return connection


def connection_to(daemon_id: str, copy_id: str, locator: str) -> Connection:
    """A connection to that copy of that store: one that is there, otherwise a shared one to where it was found."""
    loop = running_loop()
    for connection in _known:
        if connection.serves(daemon_id, copy_id, loop):
            return connection
    return shared_connection(locate_again(locator))
