"""The ledger of effects: claimed before they happen, recorded after."""

import msgspec

from lastgood_daemon.authority.commands.authorship import admit
from lastgood_daemon.authority.layer import Layer
from lastgood_daemon.authority.outcomes import Done, EffectClaimed, EffectKnown
from lastgood_daemon.engine.effect import CLAIMED, Effect, Failure
from lastgood_daemon.engine.errors import InDoubtError, InvalidArgumentError
from lastgood_daemon.engine.log import Author
from lastgood_proto.effects import idempotency_key


class ClaimEffect(msgspec.Struct, frozen=True):
    """Say that an effect of the open step is about to happen; where it has happened, give what came of it."""

    workflow_id: str
    step: int
    key: str
    author: Author
    daemon_id: str
    refuse_doubt: bool
    size: int = 0

    def evaluate(self, layer: Layer, now: int) -> EffectClaimed | EffectKnown:
        """See ``Command``."""
        author = admit(layer, self.author, now, into=self.workflow_id)
        workflow = layer.workflow(self.workflow_id)
        workflow.require_open(self.step)
        known = workflow.effects.get((self.step, self.key))
        if known is None:
            line = workflow.progress.line
            effect = Effect(
                workflow_id=self.workflow_id,
                step=self.step,
                key=self.key,
                line=line,
                idempotency_key=idempotency_key(self.daemon_id, self.workflow_id, line, self.step, self.key),
                status=CLAIMED,
                attempt=author.attempt,
                agent_id=author.agent_id,
                claimed_at=now,
            )
        elif known.status != CLAIMED:
            return EffectKnown(known)
        elif self.refuse_doubt:
            raise InDoubtError(self.workflow_id, self.step, self.key, known.idempotency_key)
        else:
            effect = known.claimed_again(author.attempt, author.agent_id)
        layer.put_workflow(workflow.enter(effect), now, [effect])
        return EffectClaimed(effect)


class RecordEffect(msgspec.Struct, frozen=True):
    """Record what came of an effect that this attempt has claimed: a result, a failure, or only that it has happened."""

    workflow_id: str
    step: int
    key: str
    author: Author
    result: bytes | None
    failure: Failure | None
    size: int

    def evaluate(self, layer: Layer, now: int) -> Done:
        """See ``Command``."""
        admit(layer, self.author, now, into=self.workflow_id)
        workflow = layer.workflow(self.workflow_id)
        workflow.require_open(self.step)
        claimed = workflow.effects.get((self.step, self.key))
        if claimed is None or claimed.status != CLAIMED:
            field = "key"
            raise InvalidArgumentError(field, f"must be that of an effect claimed in step {self.step}, got {self.key!r}")
        effect = claimed.recorded(self.result, self.failure, now)
        layer.put_workflow(workflow.enter(effect), now, [effect])
        return Done()
