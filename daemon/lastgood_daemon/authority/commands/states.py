"""Forking and deleting whole states."""

from dataclasses import replace

import msgspec

from lastgood_daemon.authority.commands.authorship import admit
from lastgood_daemon.authority.layer import Layer
from lastgood_daemon.authority.outcomes import Written
from lastgood_daemon.authority.targets import Found, StateRef, Target, find, find_state
from lastgood_daemon.engine.change import Put
from lastgood_daemon.engine.errors import StateExistsError
from lastgood_daemon.engine.log import Author, LoggedEdit
from lastgood_daemon.engine.state import Made, State, made


class Fork(msgspec.Struct, frozen=True):
    """Make a new state whose revision 1 is a content of another one.

    From a checkpoint of the state's own workflow it is a new workflow, too, which goes on where that checkpoint was made.
    """

    state: StateRef
    author: Author
    target: Target | None
    new_state_id: str
    size: int = 0

    def evaluate(self, layer: Layer, now: int) -> Written:
        """See ``Command``."""
        origin = find_state(layer, self.state)
        author = admit(layer, self.author, now, into=self.new_state_id)
        found = find(layer, origin, self.target)
        new = layer.state(self.new_state_id)
        if new.about.born or new.snapshots:
            raise StateExistsError(self.new_state_id)
        new = replace(new, about=msgspec.structs.replace(new.about, origin=found.point))
        new = layer.put(new, layer.made(new, author, lambda: _copied(new, found, author, now), *found.fixed))
        if found.checkpoint is not None and found.checkpoint.workflow_id == origin.state_id:
            workflow, made = layer.workflow(new.state_id).forked_from(found.checkpoint, new, now)
            layer.put_workflow(workflow, now, made)
        return Written(new.point())


def _copied(new: State, found: Found, author: Author, now: int) -> Made:
    return made(new, [LoggedEdit("fork", (), (Put((), found.root.encoded()),), found.point)], author, now)


def begin_with(layer: Layer, state: State, operation: str, content: bytes, author: Author, now: int) -> State:
    """Make a content the next revision of a state."""
    return layer.append(state, [LoggedEdit(operation, (), (Put((), content),))], author, now)


class DeleteState(msgspec.Struct, frozen=True):
    """Delete a state with its history and snapshots, and the workflow of its id; the id begins a new life."""

    state: StateRef
    author: Author
    size: int = 0

    def evaluate(self, layer: Layer, now: int) -> Written:
        """See ``Command``."""
        state = find_state(layer, self.state)
        admit(layer, self.author, now, into=state.state_id)
        existed = state.about.born or bool(state.snapshots)
        if existed:
            layer.bury(state)
        workflow = layer.workflow(state.state_id)
        if workflow.progress.updated_at:
            layer.bury_workflow(workflow)
            existed = True
        return Written(state.point(), existed=existed)
