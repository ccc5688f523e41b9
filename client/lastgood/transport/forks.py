"""A process that was forked from one in which grpc had begun to work cannot use grpc.

Its threads are not there in the child, so that a call hangs for ever or crashes the process (both were seen), on an
inherited connection and on a new one alike. So the child says so before it touches any of it.
"""

import os

from lastgood.errors import ClientUnusableError


class _Fate:
    used = False
    forked = False


def mark_used() -> None:
    """Note that grpc begins to work in this process."""
    _Fate.used = True


def is_forked() -> bool:
    """Whether this process is a child in which grpc cannot work."""
    return _Fate.forked


def refuse_child() -> None:
    """Raise ClientUnusableError in such a child."""
    if _Fate.forked:
        text = (
            "this process was forked from one that was connected already, where no client can work: start processes with "
            "multiprocessing.get_context('spawn') and connect in the child, or fork before the first connection"
        )
        raise ClientUnusableError(text, reason="CLIENT_FORKED")


def _after_fork() -> None:
    _Fate.forked = _Fate.forked or _Fate.used


os.register_at_fork(after_in_child=_after_fork)
