"""Transactions: reads and buffered writes that become one revision, if nothing that was read has changed."""

import random
import time
from collections.abc import Awaitable, Callable, Mapping
from types import TracebackType
from typing import Any, Self, TypeVar

from lastgood import arguments, convert
from lastgood.errors import InvalidArgumentError, RevisionConflictError
from lastgood.models import Reading
from lastgood.state.handle import StateHandle
from lastgood.transport.primitives import pause, waits_for_none
from lastgood.unpicklable import Unpicklable
from lastgood_proto.v1.state_pb2 import AppendEdit, DeleteEdit, Edit, ReadResponse

_Result = TypeVar("_Result")

_LEAST_ATTEMPTS = 10
_FIRST_PAUSE = 0.002
_LONGEST_PAUSE = 0.2


class Transaction(Unpicklable):
    """Reads see what it has buffered; on leaving ``async with`` all of that becomes one revision.

    What it reads is remembered with the revision at which it was read, and the commit takes place only if none of it has
    changed since. With an exception nothing is written. A transaction that only reads writes nothing, and checks nothing.

    Attributes:
        revision: the new revision, after a commit; None before, and where there was nothing to write.
    """

    def __init__(self, state: StateHandle, *, timeout: float | None = None) -> None:
        self.revision: int | None = None
        self._state = state
        self._timeout = timeout
        self._edits: list[Edit] = []
        self._read_at: dict[str, int] = {}
        self._open = False

    async def __aenter__(self) -> Self:
        """Begin."""
        if self._open or self.revision is not None:
            text = "a transaction is used once"
            raise InvalidArgumentError(text, field="transaction")
        self._open = True
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Write what is buffered; nothing on an exception.

        Raises:
            RevisionConflictError: something that was read has changed since.
            InvalidArgumentError: a write was taken for a call to wait for.
        """
        self._open = False
        if self._edits and waits_for_none(error):
            text = "the writes of a transaction are plain calls that buffer and return None: tx.set(…) stands by itself"
            raise InvalidArgumentError(text, field="transaction") from error
        if kind is None and self._edits:
            self.revision = await self._state._commit(self._edits, self._read_at, self._timeout)  # noqa: SLF001 - a transaction is a part of its state

    async def get(self, path: str = "", default: object = None) -> Any:  # noqa: ANN401 - any value of the model
        """Give the value at a path, as it will be with what is buffered."""
        answer = await self._read(path)
        return convert.value_from(answer.value) if answer.existed else default

    async def read(self, path: str = "") -> Reading:
        """Give the value at a path with the revision that it was read at."""
        answer = await self._read(path)
        value = convert.value_from(answer.value) if answer.existed else None
        return Reading(value=value, revision=answer.header.revision, existed=answer.existed)

    async def exists(self, path: str) -> bool:
        """Tell whether there is a value at a path."""
        answer = await self._read(path, omit_value=True)
        return answer.existed

    def set(self, path: str, value: object) -> None:
        """Buffer a ``set``."""
        self._buffer(Edit(path=arguments.check_path(path), set=arguments.encode(value)))

    def update(self, values: Mapping[str, object]) -> None:
        """Buffer a ``set`` of each path."""
        if not isinstance(values, Mapping):
            text = f"update takes a map of path to value, got {type(values).__name__}"
            raise InvalidArgumentError(text, field="values")
        edits = [Edit(path=arguments.check_path(path), set=arguments.encode(value, path)) for path, value in values.items()]
        for edit in edits:
            self._buffer(edit)

    def merge(self, data: object, path: str = "") -> None:
        """Buffer a ``merge``."""
        self._buffer(Edit(path=arguments.check_path(path), merge=arguments.encode(data)))

    def append(self, path: str, *items: object) -> None:
        """Buffer an ``append``."""
        appended = AppendEdit(items=arguments.encode_items(items))
        self._buffer(Edit(path=arguments.check_path(path), append=appended))

    def increment(self, path: str, by: float = 1) -> None:
        """Buffer an ``increment``."""
        number = arguments.encode(arguments.check_number(by, "by"))
        self._buffer(Edit(path=arguments.check_path(path), increment=number))

    def delete(self, path: str) -> None:
        """Buffer a ``delete``."""
        self._buffer(Edit(path=arguments.check_path(path), delete=DeleteEdit()))

    def _buffer(self, edit: Edit) -> None:
        self._check_open()
        self._edits.append(edit)

    async def _read(self, path: str, *, omit_value: bool = False) -> ReadResponse:
        self._check_open()
        answer = await self._state._read_with(  # noqa: SLF001 - a transaction is a part of its state
            arguments.check_path(path), self._edits, self._timeout, omit_value=omit_value
        )
        revision = answer.header.revision
        self._read_at[path] = min(revision, self._read_at.get(path, revision))
        return answer

    def _check_open(self) -> None:
        if not self._open:
            text = "a transaction is used within its 'async with'"
            raise InvalidArgumentError(text, field="transaction")


async def retry_on_conflict(attempt: Callable[[], Awaitable[_Result]], timeout: float) -> _Result:
    """Run something again for as long as it meets a conflict, up to a time limit, and ten times at least.

    Raises:
        RevisionConflictError: the last one, when the limits are passed.
    """
    end = time.monotonic() + timeout
    longest = _FIRST_PAUSE
    attempts = 0
    while True:
        attempts += 1
        try:
            return await attempt()
        except RevisionConflictError:
            if attempts >= _LEAST_ATTEMPTS and time.monotonic() > end:
                raise
        await pause(random.uniform(0, longest))  # noqa: S311 - keeps rivals apart, hides nothing
        longest = min(2 * longest, _LONGEST_PAUSE)
