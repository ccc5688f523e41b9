"""Taking a text out of all that is kept of a state, in one transaction."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import msgspec

from lastgood_daemon.authority.commands.authorship import admit
from lastgood_daemon.authority.layer import Layer, Part
from lastgood_daemon.authority.outcomes import (
    CheckpointMade,
    Done,
    EffectClaimed,
    Redacted,
    Refused,
    Resumed,
    Rollback,
    SnapshotTaken,
    StepBegun,
    StepEnded,
    decode_outcome,
    encode_outcome,
)
from lastgood_daemon.authority.sessions import Answered
from lastgood_daemon.authority.targets import StateRef, find_state
from lastgood_daemon.engine.log import Author, LoggedEdit
from lastgood_daemon.engine.redaction import Redactor
from lastgood_daemon.engine.rewriting import RedactedTree
from lastgood_daemon.engine.texts import OF_RECORDS, Texts, redacted, require_replaceable
from lastgood_daemon.engine.trail import Trail
from lastgood_daemon.store.protocol import LogId, Rewrite

_OF_ANSWERS: Texts = {
    **OF_RECORDS,
    SnapshotTaken: ("snapshot",),
    CheckpointMade: ("checkpoint",),
    Rollback: ("effects",),
    Resumed: ("checkpoint", "rollback"),
    Refused: ("message", "metadata"),
    StepBegun: ("effects",),
    StepEnded: ("checkpoint", "rollback"),
    EffectClaimed: ("effect",),
}


@dataclass(frozen=True, slots=True)
class RedactedLog:
    """A log as it is to be: prepared when its state was at a revision."""

    revision: int
    rewrite: Rewrite
    tree: RedactedTree
    grown: int
    """By how many bytes the log has become longer, since the last image that stays."""

    @property
    def log(self) -> LogId:
        """Whose it is."""
        return self.rewrite.log


@dataclass(frozen=True, slots=True)
class Redact:
    """Have a text be nowhere in a state, its history, its records, those of its workflow, and what was answered about them.

    Nothing is done where one of the states has moved on since its log was prepared: that is to be prepared again.
    """

    state: StateRef
    author: Author
    redactor: Redactor
    logs: Sequence[RedactedLog]
    """Those in which the text is: of the state, and of the copies that were made for checkpoints of its workflow."""
    seen: Sequence[tuple[LogId, int]]
    """All that were looked at, and at which revisions."""
    sessions: Sequence[str]
    """In whose answers the text may be."""
    size: int

    def evaluate(self, layer: Layer, now: int) -> Redacted | Done:
        """See ``Command``."""
        state = find_state(layer, self.state)
        author = admit(layer, self.author, now)
        for seen, revision in self.seen:
            other = layer.state(seen.state_id)
            if (other.incarnation, other.revision) != (seen.incarnation, revision):
                return Done(existed=False)
        count = self._snapshots(layer) + self._workflow(layer)
        for seen, _ in self.seen:
            self._floor(layer, seen.state_id)
        self._answers(layer)
        for log in self.logs:
            self._rewrite(layer, log, author, now)
        rows = sum(len(log.rewrite.rows) for log in self.logs)
        return Redacted(layer.state(state.state_id).point(), rows, count)

    def _rewrite(self, layer: Layer, log: RedactedLog, author: Author, now: int) -> None:
        state = layer.state(log.log.state_id)
        state = replace(
            state,
            tree=log.tree.tree,
            trail=Trail(oldest=state.revision + 1),  # the trees before have the text
            log_bytes=state.log_bytes + log.grown,
        )
        after = layer.append(state, [LoggedEdit("redact", (), log.tree.changes)], author, now)
        layer.rewrite(after, log.rewrite, exact=not self.redactor.coincides)

    def _snapshots(self, layer: Layer) -> int:
        state = layer.state(self.state.state_id)
        count = 0
        for snapshot in state.snapshots_in_order():
            require_replaceable(snapshot, self.redactor)
            after = redacted(snapshot, self.redactor)
            if after is not snapshot:
                layer.put_snapshot(layer.state(state.state_id), after)
                count += 1
        return count

    def _floor(self, layer: Layer, state_id: str) -> None:
        """Forget what made the oldest revision that is kept, where the text is in that: it is not needed."""
        state = layer.state(state_id)
        entry = state.kept.entry
        if entry is not None and self.redactor.is_in(msgspec.msgpack.encode(entry)):
            layer.put_kept(state, msgspec.structs.replace(state.kept, entry=None))

    def _workflow(self, layer: Layer) -> int:
        workflow = layer.workflow(self.state.state_id)
        parts: list[Part] = [*workflow.checkpoints.values(), *workflow.attempts.values(), *workflow.all_effects()]
        for part in (*parts, workflow.progress):
            require_replaceable(part, self.redactor)
        changed = [after for part in parts if (after := redacted(part, self.redactor)) is not part]
        progress = redacted(workflow.progress, self.redactor)
        if not changed and progress is workflow.progress:
            return 0
        layer.put_workflow(replace(workflow, progress=progress).with_parts(changed), progress.updated_at, changed)
        return len(changed) + (progress is not workflow.progress)

    def _answers(self, layer: Layer) -> None:
        for session_id in self.sessions:
            answers = layer.session(session_id).answers()
            changed = {number: after for number, answer in answers if (after := self._answer(answer)) != answer}
            if changed:
                layer.own_session(session_id).replace(changed)

    def _answer(self, remembered: bytes) -> bytes:
        if not self.redactor.is_in(remembered):
            return remembered
        answered = Answered.of(remembered)
        outcome = decode_outcome(answered.outcome)
        after = redacted(outcome, self.redactor, _OF_ANSWERS)
        return remembered if after is outcome else answered._replace(outcome=encode_outcome(after)).remembered()
