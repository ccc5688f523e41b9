"""The transport of the blocking client: the async one, on a thread of its own. Written by hand.

::

    Connection     blocking calls                                      connection.py
      Background   the thread with the event loop, one a process       background.py
    check_place    where calls can be made                             place.py
    registry       the connections of this process                     registry.py
    Keepalive      as in the async client                              keepalive.py
    Lock, ...      what stands for those of asyncio                    primitives.py
"""
