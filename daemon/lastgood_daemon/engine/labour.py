"""Work that is too long for an event loop.

The engine does not know threads. Where an answer needs work that takes long, such as opening a list of 40,000 messages, it
raises ``LabourError`` instead of doing it; whoever asked has ``work`` done wherever that is right, and asks again. What the
work has made is kept where it belongs (in the node), so that the second time it is at hand.

    ask                 LabourError(node, node.open)
    work()              in a thread; the node is open from now on
    ask again           the answer
"""

from collections.abc import Callable
from contextvars import ContextVar
from typing import TypeVar

LONG_BYTES = 64 * 1024
"""Bytes above which looking into a value is work for a thread: more than about a millisecond."""

T = TypeVar("T")


class LabourError(Exception):
    """Something must be worked out first. Two that are about the same ``subject`` ask for the same."""

    def __init__(self, subject: object, work: Callable[[], object]) -> None:
        super().__init__(subject)
        self.subject = subject
        self.work = work


_at_once = ContextVar("at_once", default=False)


def labour(subject: object, work: Callable[[], T]) -> T:
    """Do long work, where that is allowed.

    Raises:
        LabourError: it is not.
    """
    if _at_once.get():
        return work()
    raise LabourError(subject, work)


def working(ask: Callable[[], T]) -> T:
    """Ask, with all long work done at once: for threads."""
    token = _at_once.set(True)
    try:
        return ask()
    finally:
        _at_once.reset(token)
