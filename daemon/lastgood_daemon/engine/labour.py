"""Work that is too long for an event loop.

The engine does not know threads. Where an answer needs work that takes long, such as opening a list of 40,000 messages, it
raises ``LabourError`` instead of doing it; whoever asked has ``work`` done wherever that is right, and asks again. What the
work has made is kept where it belongs (in the node), so that the second time it is at hand.

    ask                 LabourError(node, node.open)
    work()              in a thread; the node is open from now on
    ask again           the answer

Where an answer has many small parts, what looks at them counts them (``step``). On an event loop the answer is asked for
``briefly``: a thousand parts are looked at there; more of them are ``LabourError``, and the answer is made in a thread.
"""

from collections.abc import Callable
from contextvars import ContextVar
from typing import TypeVar

LONG_BYTES = 64 * 1024
"""Bytes above which looking into a value is work for a thread: more than about a millisecond."""

STEPS = 1_000
"""Parts that an answer may look at on an event loop: about a millisecond."""

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


_steps: ContextVar[list[int] | None] = ContextVar("steps", default=None)


def briefly(ask: Callable[[], T]) -> T:
    """Ask, with a little work done at once: for event loops.

    Raises:
        LabourError: there is more to do.
    """
    token = _steps.set([STEPS])
    try:
        return ask()
    finally:
        _steps.reset(token)


def step(parts: int = 1) -> None:
    """Count the parts that are about to be looked at. What is not asked ``briefly`` may look at any number.

    Raises:
        LabourError: they are too many.
    """
    left = _steps.get()
    if left is None:
        return
    left[0] -= parts
    if left[0] < 0:
        raise LabourError(left, lambda: None)
