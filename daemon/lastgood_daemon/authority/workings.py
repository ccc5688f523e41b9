"""What was worked out elsewhere for commands, since it takes long; and the states that wait for one of them.

A command of 100,000 edits is evaluated in a thread, on the content as it is at that moment. When the command is evaluated
again, what it comes to is at hand, if it is still about the same content:

    update, 100,000 paths, at revision 7     works out revision 8, in a thread, for a second
    set, at revision 7                       revision 8, meanwhile
    update, at revision 8                    works out revision 9; from now on the state is reserved for it
    set, at revision 8                       waits
    update, at revision 8                    what was worked out: revision 9
    set, at revision 9                       revision 10

So a small write hardly ever waits for a large one, and a large one is worked out twice at most.
"""

import asyncio
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, NamedTuple, Protocol, TypeVar, runtime_checkable

from lastgood_daemon.engine.errors import RefusedError
from lastgood_daemon.engine.labour import LabourError, bounded, working

_KEPT = 3
"""Results of a command that are kept besides the last: a claim writes what the state begins with, and rolls back."""

T = TypeVar("T")


@runtime_checkable
class Large(Protocol):
    """A command that may consist of very many parts."""

    def let_go(self) -> None:
        """Free them, piece by piece. Only when the command is answered."""
        ...


class _Known(NamedTuple):
    command: object
    """Kept, so that no other has its identity."""
    built_on: tuple[object, ...]
    result: Any


class _Reservation(NamedTuple):
    command: object
    ended: "asyncio.Future[None]"


class Workings:
    """See the module. Each lasts until its command is answered."""

    def __init__(self) -> None:
        # Of its own: what takes seconds here must not keep those waiting whose calls are read, or answered, in a thread.
        self.thread = ThreadPoolExecutor(1, "lastgood-labour")
        """Where all of it is worked out, and let go of."""
        self._known: dict[int, list[_Known]] = {}
        self._reserved: dict[str, _Reservation] = {}

    def of(self, command: object, built_on: tuple[object, ...], work: Callable[[], T]) -> T:
        """Return what some work for a command comes to.

        Args:
            command: for which; for none, it is done here.
            built_on: what makes ``work`` come to what it does, besides the command; compared by value.
            work: a pure function.

        Raises:
            LabourError: it is long, and not known yet.
            RefusedError: what the work has raised.
        """
        if command is None:
            return work()
        for known in self._known.get(id(command), ()):
            if known.built_on == built_on:
                if isinstance(known.result, RefusedError):
                    raise known.result.with_traceback(None)
                result: T = known.result
                return result
        try:
            return bounded(command, work)
        except LabourError as labour:
            raise LabourError(command, partial(self._work_out, command, built_on, labour.work)) from None

    def _work_out(self, command: object, built_on: tuple[object, ...], work: Callable[[], object]) -> None:
        result: object
        try:
            result = working(work)
        except RefusedError as refusal:
            result = refusal.with_traceback(None)
        self._known[id(command)] = [_Known(command, built_on, result), *self._known.get(id(command), ())[:_KEPT]]

    def reserve(self, command: object, state_ids: Iterable[str]) -> None:
        """Have other commands that would write into some states wait until this one is answered."""
        for state_id in state_ids:
            if state_id not in self._reserved:
                ended = asyncio.get_running_loop().create_future()
                self._reserved[state_id] = _Reservation(command, ended)

    def is_reserved(self, state_id: str, command: object) -> bool:
        """Whether a command may not write into a state, since that is reserved for another."""
        reservation = self._reserved.get(state_id)
        return reservation is not None and reservation.command is not command

    async def released(self, state_id: str) -> None:
        """Wait until a state is not reserved."""
        reservation = self._reserved.get(state_id)
        if reservation is not None:
            await asyncio.shield(reservation.ended)

    def release_all(self) -> None:
        """End all reservations; those who had them may have to work out again what they were about."""
        reserved, self._reserved = self._reserved, {}
        for reservation in reserved.values():
            reservation.ended.set_result(None)

    def forget(self, command: object) -> None:
        """End what there is of a command: it is answered, and nobody needs what it has brought along."""
        self._known.pop(id(command), None)
        if isinstance(command, Large):
            self.thread.submit(command.let_go)
        for state_id, reservation in list(self._reserved.items()):
            if reservation.command is command:
                del self._reserved[state_id]
                reservation.ended.set_result(None)
