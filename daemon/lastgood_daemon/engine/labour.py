"""Work that is too long for an event loop.

The engine does not know threads. Where an answer needs work that takes long, such as opening a list of 40,000 messages, it
raises ``LabourError`` instead of doing it; whoever asked has ``work`` done wherever that is right, and asks again. What the
work has made is kept where it belongs (in the node), so that the second time it is at hand.

    ask                 LabourError(node, node.open)
    work()              in a thread; the node is open from now on
    ask again           the answer

Whether work is long is often known only while it is done: an edit of a few bytes may replace a map of 100,000 names. So what
has many parts says what each of them costs (``spend``), and ``bounded`` stops it where that becomes too much:

    bounded(command, plan)      spend, spend, spend … LabourError(command, plan)
"""

from collections.abc import Callable
from contextvars import ContextVar
from io import BytesIO
from sys import getrefcount
from typing import Any, TypeVar

LONG_BYTES = 64 * 1024
"""Bytes above which looking into a value is work for a thread: more than about a millisecond."""
LONG_COST = 2_000
"""What ``bounded`` does at once; ``spend`` counts in about microseconds."""
PIECE = 256
"""Objects that are freed at once: each frees a few more, and the interpreter is held as long as that takes."""

T = TypeVar("T")


class LabourError(Exception):
    """Something must be worked out first. Two that are about the same ``subject`` ask for the same."""

    def __init__(self, subject: object, work: Callable[[], object]) -> None:
        super().__init__(subject)
        self.subject = subject
        self.work = work


class _SpentError(BaseException):
    """What ``bounded`` allows has been spent. Nothing on the way there is to take it for a failure."""


class _Budget:
    left = LONG_COST


_at_once = ContextVar("at_once", default=False)
_budget: ContextVar[_Budget | None] = ContextVar("budget", default=None)


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


def is_elsewhere() -> bool:
    """Whether long work is done at once, as in a thread."""
    return _at_once.get()


def bounded(subject: object, work: Callable[[], T]) -> T:
    """Do work that may turn out to be long; ``work`` has no effect but its result.

    Raises:
        LabourError: it is long; all of it is the work to do elsewhere.
    """
    if _at_once.get():
        return work()
    token = _budget.set(_Budget())
    try:
        return work()
    except (LabourError, _SpentError):
        raise LabourError(subject, work) from None
    finally:
        _budget.reset(token)


def spend(cost: int) -> None:
    """Count what the next part of some work costs, in about microseconds; ends the work where ``bounded`` allows no more."""
    budget = _budget.get()
    if budget is not None and not _at_once.get():
        budget.left -= cost
        if budget.left < 0:
            raise _SpentError


def let_go(items: list[T]) -> None:
    """Empty a list piece by piece: one call that frees 100,000 objects would hold the interpreter for 20 ms."""
    while items:
        del items[-PIECE:]


def let_go_of_bytes(held: list[bytes]) -> None:
    """Free large bytes step by step, those that nothing else refers to: to give back 40 MB in one call takes 4 ms."""
    while held:
        data = held.pop()
        size = len(data)
        if size <= LONG_BYTES or getrefcount(data) > _MINE:
            continue
        rest = BytesIO(data)
        del data
        while size > LONG_BYTES:
            size = size // 2 - 1  # less than half, or nothing is given back
            rest.truncate(size)


_MINE = 2
"""References to what only one variable refers to, as ``getrefcount`` counts them."""


def empty(found: dict[Any, Any]) -> None:
    """Empty a dict one by one, for the same reason."""
    while found:
        found.popitem()
