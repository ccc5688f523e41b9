"""How calls reach the daemon: everything that knows of asyncio, grpc, processes and sockets.

::

    Connection   calls in, answers out; reconnects and repeats       connection.py
      Ledger     which calls are unanswered, under which numbers     ledger.py
      Finder     where the daemon is; starts one where it may        finder.py, autostart.py
      Link       one stream to it: frames, pieces, how it breaks     link.py, framing.py, status.py
    Keepalive    keeps a lease alive, beside the calls             keepalive.py
    registry     the connections of this process and loop; forks     registry.py
"""

import os

_SETTINGS = {
    # Otherwise it tells the user's terminal about every connection that ends.
    "GRPC_VERBOSITY": "NONE",
    # Otherwise it revives threads of its own in every process forked from this one, which crashes some of them (seen in one
    # of twelve), even where they never use it. See forks.py for what our own clients do there.
    "GRPC_ENABLE_FORK_SUPPORT": "0",
}
"""What grpc reads from the environment when it is first imported. Whoever has set one of them has had a reason."""


def _import_grpc() -> None:
    """Import grpc with these settings, and leave the environment of the process, and of its children, as it was."""
    ours = [name for name in _SETTINGS if name not in os.environ]
    os.environ.update({name: _SETTINGS[name] for name in ours})
    try:
        import grpc.aio  # noqa: F401, PLC0415 - only now
    finally:
        for name in ours:
            del os.environ[name]


_import_grpc()
