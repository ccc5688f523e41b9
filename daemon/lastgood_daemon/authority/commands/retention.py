"""Setting policies, and applying them to workflows and whole states.

What is to go is found outside, by looking through the store, and may have changed by the time a command is evaluated. So
each of these decides anew, by the policy in force; a candidate that has become worth keeping stays.
"""

import msgspec

from lastgood_daemon.authority.layer import Layer
from lastgood_daemon.authority.outcomes import Done, Pruned
from lastgood_daemon.authority.world import Reader
from lastgood_daemon.engine.retention import Age, Retention, is_expired, last_written, pruned


def in_force(reader: Reader, owner: str) -> tuple[Retention | None, bool]:
    """Give the policy in force for an id (``""``: the default), and whether it was set for that id itself."""
    own = reader.retention(owner)
    return (reader.retention(""), False) if own is None else (own, bool(owner))


class SetRetention(msgspec.Struct, frozen=True):
    """Set the policy of an id, or the default (``""``); ``None`` removes it. It outlives what it is about."""

    owner: str
    retention: Retention | None
    size: int

    def evaluate(self, layer: Layer, now: int) -> Done:
        """See ``Command``."""
        del now
        existed = layer.retention(self.owner) is not None
        if existed or self.retention is not None:
            layer.put_retention(self.owner, self.retention)
        return Done(existed=existed)


class PruneWorkflow(msgspec.Struct, frozen=True):
    """Drop the checkpoints that are too many, and what has been superseded for long; also of a workflow that is held."""

    workflow_id: str
    age: Age
    size: int = 0

    def evaluate(self, layer: Layer, now: int) -> Pruned:
        """See ``Command``."""
        del now
        policy, _ = in_force(layer, self.workflow_id)
        if policy is None or not policy.prunes:
            return Pruned(0, 0)
        workflow = layer.workflow(self.workflow_id)
        checkpoints, effects = pruned(workflow, policy, self.age)
        if checkpoints or effects:
            after = workflow.without_parts(checkpoints, effects)
            # It does not count as being written: a workflow that is only pruned expires all the same.
            layer.put_workflow(after, workflow.progress.updated_at, gone=[*checkpoints, *effects])
        return Pruned(len(checkpoints), len(effects))


class ExpireState(msgspec.Struct, frozen=True):
    """Delete a state, and the workflow of its id, that nobody has written for as long as its policy says.

    ``since``: when it was seen that no checkpoint of another workflow refers to it. ``age``: as it was then.
    """

    state_id: str
    since: int
    age: Age
    size: int = 0

    def evaluate(self, layer: Layer, now: int) -> Done:
        """See ``Command``."""
        policy, _ = in_force(layer, self.state_id)
        workflow, state = layer.workflow(self.state_id), layer.state(self.state_id)
        if state.about.hidden or state.about.referred_at >= self.since or workflow.progress.holds(now):
            return Done(existed=False)
        written_at = last_written(state, workflow.progress)
        if not written_at or policy is None or not is_expired(written_at, policy, self.age):
            return Done(existed=False)
        if state.about.born or state.snapshots:
            layer.bury(state)
        if workflow.progress.updated_at:
            layer.bury_workflow(workflow)
        return Done()


class DropCopy(msgspec.Struct, frozen=True):
    """Delete a copy that was made for a checkpoint, when no checkpoint refers to it any more.

    ``since``: when that was seen. What was made, or referred to, from then on stays.
    """

    state_id: str
    since: int
    size: int = 0

    def evaluate(self, layer: Layer, now: int) -> Done:
        """See ``Command``."""
        del now
        state = layer.state(self.state_id)
        about = state.about
        if not about.hidden or state.snapshots or max(about.created_at, about.referred_at) >= self.since:
            return Done(existed=False)
        layer.erase(state)
        return Done()
