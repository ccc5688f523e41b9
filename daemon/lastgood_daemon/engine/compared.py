"""What comparing large values has come to.

Finding what differs in a list of 40,000 messages takes tens of milliseconds, so an event loop has it done elsewhere
(``labour``). An edit that is evaluated again has the result at hand, as long as it is about the same present value.
"""

from lastgood_daemon.engine.change import SimpleChange
from lastgood_daemon.engine.delta import delta
from lastgood_daemon.engine.labour import LONG_BYTES, labour, working
from lastgood_daemon.engine.node import MANY, Node

_KEPT = 15
"""Results that are kept besides the last: a merge has several."""


class Compared:
    """The results of the comparisons of one edit, by the present values."""

    __slots__ = ("_known", "_node")

    def __init__(self) -> None:
        self._node: Node | None = None
        self._known: list[tuple[Node, bytes, list[SimpleChange] | None]] = []

    def opened(self, value: bytes) -> Node:
        """Give the value of the edit as a node: always the same one, so that it is opened only once."""
        if self._node is None:
            self._node = Node(0, encoded=value)
        return self._node

    def delta(self, old: Node, new: bytes) -> list[SimpleChange] | None:
        """Give what ``delta`` gives.

        Raises:
            LabourError: that takes long.
        """
        if len(new) <= LONG_BYTES:
            return delta(old, new)
        for node, value, changes in self._known:
            if _is_same(node, old) and value == new:
                return changes
        return labour(self, lambda: self._compare(old, new))

    def _compare(self, old: Node, new: bytes) -> list[SimpleChange] | None:
        changes = working(lambda: delta(old, new))
        self._known = [*self._known[-_KEPT:], (old, new, changes)]
        return changes


def _is_same(one: Node, other: Node) -> bool:
    """Whether two nodes are one, or the same small value: items of a run are other nodes each time they are asked for."""
    size = one.sealed_bytes
    return one is other or (0 < size <= MANY and size == other.sealed_bytes and one.encoded() == other.encoded())
