"""Commands that wait until what they need has been brought into memory.

They keep their order: what comes behind one in its session waits with it. What those will ask for is brought as well, or
they would wait again for each thing, one after the other.

    session a    set x (not in memory), set y (in memory), set z (not in memory)
    held         x, for which set x waits; behind it set y and set z
    brought      x, and then z, since set z will ask for it
    again        all three, in one group
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress

from lastgood_daemon.authority.layer import Layer
from lastgood_daemon.authority.loader import Loader
from lastgood_daemon.authority.outcomes import Outcome, Refused
from lastgood_daemon.authority.submission import Submission
from lastgood_daemon.authority.world import LabourNeed, Need, NotLoadedError, ReservedNeed, World
from lastgood_daemon.engine.errors import RefusedError
from lastgood_daemon.engine.labour import LabourError
from lastgood_daemon.store.protocol import CorruptRecordError, Store, StoreBrokenError

AHEAD = 256
"""Commands behind the first whose needs are brought, too."""
AHEAD_SECONDS = 0.1
"""How long that goes on: the first one could be evaluated already."""

FAULT = Refused("INTERNAL", "the daemon failed to handle the call; nothing was written; its log says more")

log = logging.getLogger(__name__)


class Held:
    """See the module. ``again`` is given what can be evaluated again, ``fail`` what broke the storage."""

    def __init__(
        self,
        store: Store,
        world: World,
        loader: Loader,
        again: Callable[[Sequence[Submission]], None],
        fail: Callable[[StoreBrokenError], None],
    ) -> None:
        self._store = store
        self._world = world
        self._loader = loader
        self._again = again
        self._fail = fail
        self._waiting: dict[Need, list[Submission]] = {}
        self._sessions: dict[str, Need] = {}
        self._bringing: set[asyncio.Task[None]] = set()

    def __bool__(self) -> bool:
        """Whether anything waits."""
        return bool(self._waiting)

    def keep_order(self, submission: Submission) -> None:
        """Raise ``NotLoadedError`` where what the same session handed in before waits for something."""
        identity = submission.identity
        if identity is not None and identity.session_id in self._sessions and not submission.overtakes:
            raise NotLoadedError(self._sessions[identity.session_id])

    def take(self, submission: Submission, need: Need) -> None:
        """Keep a command, and what comes after it in its session, until something is in memory; all in their order."""
        if isinstance(need, LabourNeed):
            submission.note_labour(self._world.workings, need.states)
        if submission.identity is not None and not submission.overtakes:
            self._sessions[submission.identity.session_id] = need
        held = self._waiting.get(need)
        if held is not None:
            held.append(submission)
            return
        self._waiting[need] = [submission]
        task = asyncio.get_running_loop().create_task(self._bring(need))
        self._bringing.add(task)
        task.add_done_callback(self._bringing.discard)

    async def _bring(self, need: Need) -> None:
        refusal: Refused | None = None
        of_all = False
        try:
            await self._loader.bring(need)
            await self._bring_what_follows(need)
        except CorruptRecordError as error:
            log.error("refusing what needs a damaged record: %s", error)  # noqa: TRY400 - expected, no traceback
            refusal = Refused("CORRUPT", str(error))
        except StoreBrokenError as error:
            self._fail(error)
            of_all = True
            refusal = Refused("UNAVAILABLE", f"the daemon's storage failed; nothing was written: {error}")
        except Exception:
            log.exception("bringing %s into memory failed", need)
            refusal = FAULT
        held = self._waiting.pop(need)
        for session_id in [session_id for session_id, waits_for in self._sessions.items() if waits_for == need]:
            del self._sessions[session_id]
        if refusal is not None:
            again: list[Submission] = []
            for submission in held:
                # What is behind the first may ask for something else; but a storage that has failed has nothing for anybody.
                if of_all or submission is held[0] or missing_of(self._world, submission, self._store.now()) == need:
                    submission.answer(refusal)
                else:
                    again.append(submission)
            held = again
        self._again(held)

    async def _bring_what_follows(self, need: Need) -> None:
        """Bring what the commands behind will ask for. What fails here fails again for the command that asks for it."""
        with suppress(TimeoutError):
            async with asyncio.timeout(AHEAD_SECONDS):
                for submission in self._waiting[need][:AHEAD]:
                    missing = missing_of(self._world, submission, self._store.now())
                    # What must be worked out, and whose turn it is, is only known when it is evaluated.
                    if missing is not None and not isinstance(missing, LabourNeed | ReservedNeed):
                        with suppress(CorruptRecordError, StoreBrokenError):
                            await self._loader.bring(missing)


def missing_of(world: World, submission: Submission, now: int) -> Need | None:
    """Give what a command would ask for as the world is."""
    try:
        outcome_of(Layer(world), submission, now)
    except NotLoadedError as missing:
        return missing.need
    except Exception:  # noqa: BLE001 - it fails again when it is its turn
        return None
    return None


def outcome_of(batch: Layer, submission: Submission, now: int) -> Outcome:
    """Evaluate a command on a layer over those before it.

    Raises:
        NotLoadedError: something must be brought, or worked out, first.
    """
    layer = Layer(batch, submission.command)
    try:
        outcome = submission.command.evaluate(layer, now)
    except RefusedError as refusal:
        return Refused.because(refusal)
    except LabourError as labour:
        raise NotLoadedError(LabourNeed.of(labour, layer.asked)) from None
    layer.merge_down()
    return outcome
