"""Whether two nodes are the same value, types and the order of maps included.

What both share is the same object, and passed over; so two versions of one value cost what differs, however large they are.
Large runs of bytes are compared piece by piece, since one comparison holds the interpreter as long as it lasts.
"""

from lastgood_daemon.engine.encoded import PIECE_BYTES, is_same
from lastgood_daemon.engine.labour import spend
from lastgood_daemon.engine.node import ListBody, MapBody, Node

MANY_PARTS = 10_000
"""What a large value that must be encoded counts for."""


def same_value(one: Node, other: Node) -> bool:
    """Whether both are the same value.

    Raises:
        LabourError: it takes long to find out.
    """
    if one is other:
        return True
    if one.is_map != other.is_map or one.is_list != other.is_list:
        return False
    if one.sealed() is None and other.sealed() is None:
        return _same_bodies(one, other)
    if one.sealed_bytes and other.sealed_bytes and one.sealed_bytes != other.sealed_bytes:
        return False
    for node in (one, other):
        if not node.sealed_bytes and node.is_long():
            spend(MANY_PARTS)
    return _same_bytes(one.encoded(), other.encoded())


def _same_bodies(one: Node, other: Node) -> bool:
    mine, yours = one.body(), other.body()
    if isinstance(mine, MapBody) and isinstance(yours, MapBody):
        return _same_maps(mine, yours)
    if isinstance(mine, ListBody) and isinstance(yours, ListBody):
        size = len(mine.items)
        return size == len(yours.items) and mine.items.common_ends(yours.items, _counted)[0] == size
    return False


def _same_maps(mine: MapBody, yours: MapBody) -> bool:
    if mine.entries is yours.entries:
        return True
    if len(mine.entries) != len(yours.entries):
        return False
    for name, other_name in zip(mine.names(), yours.names(), strict=True):
        if name != other_name or not _counted(mine.entries[name].node, yours.entries[name].node):
            return False
    return True


def _counted(one: Node, other: Node) -> bool:
    spend(1)
    return same_value(one, other)


def _same_bytes(one: bytes, other: bytes) -> bool:
    if len(one) > PIECE_BYTES:
        spend(len(one) // PIECE_BYTES * 100)
    return is_same(one, other)
