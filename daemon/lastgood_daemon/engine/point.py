"""Naming a revision."""

import msgspec


class Point(msgspec.Struct, frozen=True):
    """One revision of one life of one state."""

    state_id: str
    incarnation: int
    revision: int
