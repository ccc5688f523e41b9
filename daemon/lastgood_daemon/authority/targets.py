"""What a caller wants to look at or to go back to, and finding it."""

from typing import NamedTuple

import msgspec

from lastgood_daemon.authority.world import Reader
from lastgood_daemon.engine.checkpoint import Checkpoint
from lastgood_daemon.engine.errors import CheckpointNotFoundError
from lastgood_daemon.engine.node import Node
from lastgood_daemon.engine.point import Point
from lastgood_daemon.engine.state import State


class StateRef(NamedTuple):
    """A state, and which life of it is meant (0: whichever is there)."""

    state_id: str
    incarnation: int = 0


class Revision(msgspec.Struct, frozen=True):
    """A revision of the state that the call is about."""

    revision: int


class Time(msgspec.Struct, frozen=True):
    """The last revision of that state made at or before a time, in microseconds."""

    time: int


class CheckpointRef(msgspec.Struct, frozen=True):
    """What a checkpoint was made of."""

    workflow_id: str
    step: int
    attempt: int


class Content(msgspec.Struct, frozen=True):
    """A content brought along: the bytes of a map."""

    encoded: bytes


Target = Revision | Time | Point | CheckpointRef | Content


class Found(NamedTuple):
    """A target that was found. ``point`` is missing for a content that was brought along."""

    root: Node
    point: Point | None
    checkpoint: Checkpoint | None = None

    @property
    def fixed(self) -> tuple[object, ...]:
        """What makes it this one; of a content that was brought along, nothing but the command that brings it."""
        return () if self.point is None else (self.point, self.root)


def find_state(reader: Reader, ref: StateRef) -> State:
    """Give the state that is meant, or raise ``StateNotFoundError``."""
    state = reader.state(ref.state_id)
    state.require(ref.incarnation)
    return state


def find(reader: Reader, state: State, target: Target | None) -> Found:
    """Give what a target names; without one, the present content.

    Raises:
        RevisionUnavailableError: the revision is not reached yet, or has been compacted.
        StateNotFoundError: the state that it is of has been deleted.
        CheckpointNotFoundError: there is no such checkpoint.
    """
    match target:
        case None:
            return Found(state.tree.root, state.point())
        case Content(encoded):
            return Found(Node(0, encoded=encoded), None)
        case Revision(revision):
            return _at(reader, state.point(revision))
        case Time(time):
            return _at(reader, state.point(reader.revision_at(state, time)))
        case CheckpointRef(workflow_id, step, attempt):
            checkpoint = reader.workflow(workflow_id).checkpoints.get((step, attempt))
            if checkpoint is None:
                raise CheckpointNotFoundError(workflow_id, step)
            return _at(reader, checkpoint.point)._replace(checkpoint=checkpoint)
        case Point():
            return _at(reader, target)


def _at(reader: Reader, point: Point) -> Found:
    owner = find_state(reader, StateRef(point.state_id, point.incarnation))
    owner.require_kept(point.revision)
    if point.revision == owner.revision:
        return Found(owner.tree.root, point)
    return Found(reader.tree(point).root, point)
