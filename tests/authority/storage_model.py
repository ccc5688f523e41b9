"""What housekeeping must amount to, on the plain model of ``tests.engine.model``."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from tests.engine.model import Everything, Life, Mark, Work

from lastgood_daemon.engine.retention import Retention

KEEP_ALL = Retention()
Sizes = Mapping[str, Mapping[int, int]]
"""How many bytes each revision takes in the log, by state; those that are not in it take none."""


@dataclass(frozen=True)
class Situation:
    """Everything, and what else a round goes by."""

    model: Everything
    now: int
    policies: Mapping[str, Retention] = field(default_factory=dict)
    touched: Mapping[str, int] = field(default_factory=dict)
    """When a workflow was last written."""
    taken: Mapping[str, int] = field(default_factory=dict)
    """When a snapshot was taken, by its id."""

    def policy(self, owner: str) -> Retention:
        return self.policies.get(owner) or self.policies.get("", KEEP_ALL)

    def hidden(self, state_id: str) -> bool:
        return state_id.startswith("copy ")

    # What refers to what.

    def pins(self, state_id: str) -> set[int]:
        """The revisions of a state that somebody may go back to."""
        life = self.model.life(state_id)
        points = [mark.point for work in self.model.works.values() for mark in work.marks.values()]
        points += [work.began for work in self.model.works.values() if work.began is not None]
        referred = {point.revision for point in points if point[:2] == (state_id, life.incarnation)}
        return {revision for revision in referred | {r for _, r in life.snapshots} if life.has(revision)}

    def is_foreign(self, state_id: str) -> bool:
        """Whether a checkpoint of another workflow is about a state."""
        of = (state_id, self.model.life(state_id).incarnation)
        works = {name: work for name, work in self.model.works.items() if name != state_id}
        return any(mark.point[:2] == of for work in works.values() for mark in work.marks.values())

    # What may go.

    def prunable(self, workflow_id: str) -> set[tuple[int, int]]:
        policy, work = self.policy(workflow_id), self.model.work(workflow_id)
        live = [(mark.step, mark.attempt) for mark in work.live()]
        good = work.last_good()
        gone = set() if policy.checkpoints is None else set(live[: max(0, len(live) - policy.checkpoints)])
        if good is not None:
            gone.discard((good.step, good.attempt))
        if policy.superseded is not None:
            assert policy.superseded == 0, "the model does not know when they were"
            gone |= {order for order, mark in work.marks.items() if mark.superseded}
        return gone

    def expirable(self, state_id: str) -> bool:
        ttl, life = self.policy(state_id).ttl, self.model.life(state_id)
        if ttl is None or self.hidden(state_id) or self.is_foreign(state_id):
            return False
        written = max([
            self.touched.get(state_id, 0),
            life.revisions[-1].timestamp,
            *(self.taken[snapshot_id] for snapshot_id, _ in life.snapshots),
        ])  # fmt: skip
        return written > 0 and self.now - written >= ttl

    def floor(self, state_id: str, sizes: Mapping[int, int]) -> int:
        """The lowest revision that the policy keeps."""
        policy, life = self.policy(state_id), self.model.life(state_id)
        head = life.revision
        for revision in range(max(1, life.floor), head):
            too_many = policy.revisions is not None and head - revision >= policy.revisions
            too_old = policy.age is not None and self.now - life.revisions[revision].timestamp >= policy.age
            size = sum(size for later, size in sizes.items() if later >= revision)
            too_much = policy.bytes is not None and size > policy.bytes
            if not (too_many or too_old or too_much):
                return revision
        return head

    # Going.

    def without_marks(self, workflow_id: str, gone: set[tuple[int, int]]) -> "Situation":
        work = self.model.work(workflow_id)
        left = {order: mark for order, mark in work.marks.items() if order not in gone}
        return replace(self, model=self.model.with_work(workflow_id, replace(work, marks=left)))

    def without(self, state_id: str) -> "Situation":
        """Without a state, and the workflow of its id."""
        life = self.model.life(state_id)
        model = self.model
        if life.revision or life.snapshots:
            model = model.with_life(state_id, Life(life.incarnation + 1))
        if self.touched.get(state_id):
            model = model.without_work(state_id)
        return replace(self, model=model, touched={**self.touched, state_id: 0})

    def without_copy(self, state_id: str) -> "Situation":
        lives = {name: life for name, life in self.model.lives.items() if name != state_id}
        return replace(self, model=replace(self.model, lives=lives))

    def with_kept(self, state_id: str, floor: int, between: frozenset[int]) -> "Situation":
        life = replace(self.model.life(state_id), floor=floor, between=between)
        return replace(self, model=self.model.with_life(state_id, life))

    def after_a_round(self, only: str | None, sizes: Sizes) -> "Situation":
        """What is left after a round that nobody has disturbed."""
        situation = self
        ids = sorted({*self.model.lives, *self.model.works}) if only is None else [only]
        for state_id in [state_id for state_id in ids if self.expirable(state_id)]:
            situation = situation.without(state_id)
        for workflow_id in ids:
            situation = situation.without_marks(workflow_id, situation.prunable(workflow_id))
        for state_id in [state_id for state_id in situation.model.lives if situation.hidden(state_id)]:
            if not situation.pins(state_id):
                situation = situation.without_copy(state_id)
        for state_id in ids:
            policy, life = situation.policy(state_id), situation.model.life(state_id)
            if policy.shortens and life.revision and not situation.hidden(state_id):
                floor = situation.floor(state_id, sizes.get(state_id, {}))
                if floor > 1:
                    between = frozenset(pin for pin in situation.pins(state_id) if 0 < pin < floor)
                    situation = situation.with_kept(state_id, floor, between)
        return situation


def nearest(life: Life, revision: int) -> int:
    """The revision that is left which is nearest to one; the earlier of two; but never 0."""
    left = [other for other in range(1, life.revision + 1) if life.has(other)]
    return min(left, key=lambda other: (abs(other - revision), other))


def oldest(life: Life) -> int:
    return min(life.between, default=life.floor)


def answered_at(life: Life, time: int) -> int | None:
    """The revision at a time; nothing where one that is gone may have been made between it and that time."""
    revision = life.at_time(time)
    if revision == 0:
        return 0  # before it was made it was empty, whatever has been compacted since
    known = revision == life.revision or life.has(revision + 1)
    return revision if known and life.has(revision) else None


def marks_of(work: Work) -> dict[tuple[int, int], Mark]:
    return work.marks
