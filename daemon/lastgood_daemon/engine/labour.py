"""Work that is too long for an event loop.

The engine does not know threads. Where an answer needs work that takes long, such as opening a list of 40,000 messages, it
raises ``LabourError`` instead of doing it; whoever asked has ``work`` done wherever that is right, and asks again. What the
work has made is kept where it belongs (in the node), so that the second time it is at hand.

    ask                 LabourError(node, node.open)
    work()              in a thread; the node is open from now on
    ask again           the answer
"""

from collections.abc import Callable
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


def working(ask: Callable[[], T]) -> T:
    """Ask, and do at once whatever work that needs: for threads."""
    while True:
        try:
            return ask()
        except LabourError as labour:
            labour.work()
