"""Applying the policies: a round through everything that is stored.

    expire    whole states and workflows that nobody has written for long
    prune     checkpoints that are too many, and what has been superseded for long
    copies    made for checkpoints that are gone, and what imports that were cut off have left
    logs      what neither a policy nor a pin keeps
    space     what has become free goes back to the file system

A round looks through the store in pages, and hands in a command for what may have to go, one at a time and among those of
everybody else: each decides for itself, in its turn (``commands/retention.py``). It can be cut off anywhere; the next round
finds what is left. Something damaged is passed over; a full disk ends the round.
"""

import asyncio
import logging

import msgspec

from lastgood_daemon.authority.commands import Command
from lastgood_daemon.authority.commands.retention import DropCopy, ExpireState, PruneWorkflow
from lastgood_daemon.authority.committer import Committer
from lastgood_daemon.authority.compaction import compact_log
from lastgood_daemon.authority.floors import find_wanted, measured, snapshots
from lastgood_daemon.authority.importing import Importer
from lastgood_daemon.authority.loader import Loader
from lastgood_daemon.authority.outcomes import Done, Outcome, Pruned, Refused
from lastgood_daemon.authority.policies import KEEP_ALL, Policies, in_force
from lastgood_daemon.authority.records import about_of, progress_of
from lastgood_daemon.authority.references import References, gather
from lastgood_daemon.authority.rounds import Compaction, Round
from lastgood_daemon.authority.scanning import Owned, scan
from lastgood_daemon.authority.space import reclaim
from lastgood_daemon.engine.checkpoint import Checkpoint
from lastgood_daemon.engine.effect import Effect
from lastgood_daemon.engine.errors import EndedError
from lastgood_daemon.engine.retention import Retention, is_dead, is_expired, surplus
from lastgood_daemon.engine.state import About
from lastgood_daemon.engine.workflow import Progress
from lastgood_daemon.store.protocol import CorruptRecordError, LogId, Store, StoreFullError
from lastgood_daemon.store.timeline import Ages

_ENDS = {"OVERLOADED", "UNAVAILABLE", "OUTCOME_UNKNOWN"}
"""The refusals that are about the daemon, and not about what was handed in."""


log = logging.getLogger(__name__)


class Housekeeper:
    """See the module."""

    def __init__(self, store: Store, committer: Committer, loader: Loader, importer: Importer) -> None:
        self._store = store
        self._committer = committer
        self._loader = loader
        self._importer = importer
        self.compacting = asyncio.Lock()
        """Held while logs are made shorter."""

    async def keep(self, only: str | None = None) -> Compaction:
        """Do a round; only for one id, and for copies that nobody needs, where that is named.

        Raises:
            EndedError: the disk is full, the daemon ends, or what is named is damaged.
        """
        made = Round(await in_force(self._store, only), only, self._hand_in)
        try:
            await self._keep(made)
            await self._give_back(made)
        except StoreFullError as error:
            reason = "OVERLOADED"
            raise EndedError(reason, f"the disk is too full to make room on it: {error}") from error
        return made.found

    async def foresee(self, only: str | None, policy: Retention | None = None) -> Compaction:
        """Return what a round would come to; nothing is changed.

        Args:
            only: one id, or everything.
            policy: looks as if this one were set for that id, or as the default.

        Raises:
            EndedError: what is named is damaged.
        """
        owner, policies = only or "", await in_force(self._store, only)

        async def rehearse(command: Command) -> Outcome:
            return await self._committer.rehearse(command, None if policy is None else (owner, policy))

        made = Round(policies if policy is None else policies.under(owner, policy), only, rehearse, dry=True)
        await self._keep(made)
        return made.found

    async def drop_copies(self) -> None:
        """Drop the copies that nobody needs, and nothing else. Raises as ``keep`` does, and passes over what is damaged."""
        made = Round(Policies(KEEP_ALL, {}), None, self._hand_in)
        await made.guard(self._clear(made))

    # The parts of a round.

    async def _give_back(self, made: Round) -> None:
        """Give what has become free back to the file system, as far as no damaged page is in the way."""
        try:
            made.found.bytes += await reclaim(self._store)
        except CorruptRecordError as error:
            log.error("space cannot be given back past damage: %s", error)  # noqa: TRY400 - expected, no traceback

    async def _keep(self, made: Round) -> None:
        if made.policies.any(lambda policy: policy.ttl is not None):
            await made.guard(self._expire(made))
        if made.policies.any(lambda policy: policy.prunes):
            await self._prune(made)
        await made.guard(self._clear(made))

    async def _expire(self, made: Round) -> None:
        since = await self._committer.moment()
        references = await gather(self._store)
        for kind in ("workflow", "state"):
            async for owned in scan(self._store, kind, made.only):
                if made.policies.of(owned.owner).ttl is not None:
                    await made.guard(self._expire_one(made, owned, references, since))

    async def _expire_one(self, made: Round, owned: Owned, references: References, since: int) -> None:
        owned.records()
        state_id, policy = owned.owner, made.policies.of(owned.owner)
        about = await about_of(self._store, state_id) or About()
        if references.is_needed(LogId(state_id, about.incarnation)) or about.hidden:
            return
        written_at = await self._last_written(state_id, about, policy)
        if not written_at or not is_expired(written_at, policy, self._age()):
            return
        done = await made.hand_in(ExpireState(state_id, since, self._age()))
        if isinstance(done, Done) and done.existed:
            made.found.deleted += 1
            made.changed(state_id)

    async def _last_written(self, state_id: str, about: About, policy: Retention) -> int:
        """Give when something was last written, as far as it matters: no further once that is not long ago. 0: never."""
        progress = await progress_of(self._store, state_id) or Progress()
        latest = max(progress.updated_at, about.created_at if about.born else 0)
        if not latest:
            return 0
        if is_expired(latest, policy, self._age()) and about.born:
            head = await self._store.head(LogId(state_id, about.incarnation))
            rows = await self._store.read_log(LogId(state_id, about.incarnation), head.revision - 1, 1)
            latest = max([latest, *(logged.timestamp for logged in measured(rows))])
        if is_expired(latest, policy, self._age()):
            latest = max([latest, *(taken.created_at for taken in await snapshots(self._store, state_id))])
        return latest

    async def _prune(self, made: Round) -> None:
        async for owned in scan(self._store, "checkpoint", made.only):
            await made.guard(self._prune_one(made, owned, Checkpoint))
        if made.policies.any(lambda policy: policy.superseded is not None):
            async for owned in scan(self._store, "effect", made.only):
                await made.guard(self._prune_one(made, owned, Effect))

    async def _prune_one(self, made: Round, owned: Owned, kind: type[Checkpoint] | type[Effect]) -> None:
        policy, age = made.policies.of(owned.owner), self._age()
        if not policy.prunes:
            return
        parts = [msgspec.msgpack.decode(record.value, type=kind) for record in owned.records()]
        many = surplus([part for part in parts if isinstance(part, Checkpoint)], policy)
        if not many and not any(is_dead(part, policy, age) for part in parts):
            return
        pruned = await made.hand_in(PruneWorkflow(owned.owner, age))
        if isinstance(pruned, Pruned) and (pruned.checkpoints or pruned.effects):
            made.found.checkpoints += pruned.checkpoints
            made.found.effects += pruned.effects
            made.changed(owned.owner)

    async def _clear(self, made: Round) -> None:
        """Drop the copies that nobody needs, and shorten logs."""
        since = await self._committer.moment()
        references: References | None = None
        async for owned in scan(self._store, "state"):
            about = await made.guard(_about(owned))
            if about is None or not about.born or not (about.hidden or made.shortens(owned.owner)):
                continue
            references = references or await gather(self._store)
            log_id = LogId(owned.owner, about.incarnation)
            if about.hidden:
                is_needed = references.revisions(log_id) or self._importer.holds(owned.owner)
                if about.created_at < since and not is_needed:
                    await made.guard(self._drop_copy(made, owned.owner, since))
            else:
                await made.guard(self._shorten(made, log_id, references, since))

    async def _drop_copy(self, made: Round, state_id: str, since: int) -> None:
        done = await made.hand_in(DropCopy(state_id, since))
        made.found.copies += isinstance(done, Done) and done.existed

    async def _shorten(self, made: Round, log_id: LogId, references: References, since: int) -> None:
        wanted = await find_wanted(self._store, log_id, made.policies.of(log_id.state_id), references, since)
        if wanted.floor <= 1:
            return
        async with self.compacting:  # one log at a time, whoever asked for it
            given_up = await compact_log(self._store, made.hand_in, self._loader, log_id, wanted, dry=made.dry)
        made.found.revisions += given_up
        if given_up:
            made.changed(log_id.state_id)

    # What they are made of.

    def _age(self) -> Ages:
        return self._store.timeline.ages(self._store.now())

    async def _hand_in(self, command: Command) -> Outcome:
        outcome = await self._committer.perform(command)
        if isinstance(outcome, Refused):
            if outcome.reason in _ENDS:
                raise EndedError(outcome.reason, outcome.message)
            raise CorruptRecordError(outcome.message)
        return outcome


async def _about(owned: Owned) -> About:
    return msgspec.msgpack.decode(owned.records()[0].value, type=About)
