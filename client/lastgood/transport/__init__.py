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

# grpc reads these when it is first imported; whoever has set them has had a reason.
# Otherwise it tells the user's terminal about every connection that ends:
os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
# Otherwise it revives threads of its own in every process forked from this one, which crashes some of them (seen in one of
# twelve), even where they never use it. See forks.py for what our own clients do there.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
