"""The lastgood daemon: holds the authoritative state and serves it.

``process`` starts and ends it, ``rpc`` is its edge, ``authority`` decides what happens, ``engine`` is what a versioned state
is, and ``store`` keeps it. Each knows those after it in this list, and nothing of those before.
"""

__version__ = "0.1.0"
