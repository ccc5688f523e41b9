"""The content of a state: reading it, and writing it."""

from collections.abc import Mapping
from typing import Any

from lastgood import arguments, convert
from lastgood.errors import InvalidArgumentError
from lastgood.models import Reading
from lastgood.operations import (
    APPEND,
    DELETE,
    INCREMENT,
    LIST_KEYS,
    MERGE,
    READ,
    SET,
    UPDATE,
)
from lastgood.state.handle import Expected, StateHandle
from lastgood.state.target import Past, target_of
from lastgood_proto.v1.common_pb2 import Target
from lastgood_proto.v1.state_pb2 import (
    AppendRequest,
    Assignment,
    DeleteRequest,
    IncrementRequest,
    ListKeysRequest,
    MergeRequest,
    ReadRequest,
    ReadResponse,
    SetRequest,
    UpdateRequest,
)


class StateContent(StateHandle):
    """Reads and writes. Every successful write is exactly one revision.

    All of them take ``timeout``: seconds; None is the client's. All of them may raise DaemonUnavailableError; writes
    OutcomeUnknownError, and those with ``expected`` RevisionConflictError, where nothing has been written.
    """

    async def get(
        self, path: str = "", default: object = None, *, at: Past | None = None, timeout: float | None = None
    ) -> Any:  # noqa: ANN401 - any value of the model
        """Give the value at a path.

        Args:
            path: such as ``"research.findings"``, ``"messages.0"``; ``""`` is the whole tree.
            default: what to give where there is no value.
            at: a revision, a snapshot, a checkpoint or an aware datetime; None is now.
            timeout: seconds; None is the client's.

        Raises:
            PathError: the path is malformed.
            RevisionUnavailableError: ``at`` has been compacted, or is not reached yet.
        """
        answer = await self._read(path, at, timeout)
        return convert.value_from(answer.value) if answer.existed else default

    async def read(self, path: str = "", *, at: Past | None = None, timeout: float | None = None) -> Reading:
        """Give the value at a path together with the revision of the state: what ``expected`` of a later write may name."""
        answer = await self._read(path, at, timeout)
        value = convert.value_from(answer.value) if answer.existed else None
        return Reading(value=value, revision=answer.header.revision, existed=answer.existed)

    async def exists(self, path: str, *, at: Past | None = None, timeout: float | None = None) -> bool:
        """Tell whether there is a value at a path. None is one."""
        answer = await self._read(path, at, timeout, omit_value=True)
        return answer.existed

    async def keys(self, path: str = "", *, at: Past | None = None, timeout: float | None = None) -> list[str]:
        """List the names of the children at a path, unescaped: the keys of a map in their order, the indexes of a list."""
        request = ListKeysRequest(state=self._reference, path=arguments.check_path(path), at=await self._at(at, timeout))
        names: list[str] = []
        while True:
            answer = await self._call(LIST_KEYS, request, timeout)
            names.extend(answer.keys)
            if not answer.next_page_token:
                return names
            request.page_token = answer.next_page_token

    async def to_dict(self, *, at: Past | None = None, timeout: float | None = None) -> dict[str, Any]:
        """Give the whole tree."""
        answer = await self._read("", at, timeout)
        return convert.map_from(answer.value) if answer.existed else {}

    async def revision(self, *, timeout: float | None = None) -> int:
        """Give the present revision; 0 where nobody has written."""
        answer = await self._read("", None, timeout, omit_value=True)
        return answer.header.revision

    async def set(self, path: str, value: object, *, expected: Expected = None, timeout: float | None = None) -> int:
        """Put a value at a path, making missing parents, and give the new revision.

        Args:
            path: where; ``""`` replaces the whole tree and takes only a dict.
            value: what.
            expected: the revision that the state must be at; or a map of path to revision since which the value at that
                path must not have changed (0: has never existed).
            timeout: seconds; None is the client's.

        Raises:
            PathError: the path is malformed, or leads through a scalar or to an index that does not exist.
            InvalidValueError: the value, or something inside it, cannot be stored.
            RevisionConflictError: ``expected`` does not hold.
        """
        request = SetRequest(context=self._writing(expected), path=arguments.check_path(path), value=arguments.encode(value))
        answer = await self._call(SET, request, timeout)
        return answer.header.revision

    async def update(self, values: Mapping[str, object], *, expected: Expected = None, timeout: float | None = None) -> int:
        """Set several paths, all or none, as one revision, and give it. None at all write nothing."""
        if not isinstance(values, Mapping):
            text = f"update takes a map of path to value, got {type(values).__name__}"
            raise InvalidArgumentError(text, field="values")
        assignments = [
            Assignment(path=arguments.check_path(path), value=arguments.encode(value, path))
            for path, value in values.items()
        ]
        request = UpdateRequest(context=self._writing(expected), assignments=assignments)
        answer = await self._call(UPDATE, request, timeout)
        return answer.header.revision

    async def merge(self, data: object, path: str = "", *, expected: Expected = None, timeout: float | None = None) -> int:
        """Merge a dict into the one at a path, deeply; anything but dicts is replaced. Gives the new revision."""
        request = MergeRequest(context=self._writing(expected), path=arguments.check_path(path), data=arguments.encode(data))
        answer = await self._call(MERGE, request, timeout)
        return answer.header.revision

    async def append(self, path: str, *items: object, expected: Expected = None, timeout: float | None = None) -> int:
        """Append to the list at a path, which starts empty where it is missing. Gives the new revision.

        Raises:
            PathError: what is there is no list.
        """
        request = AppendRequest(
            context=self._writing(expected),
            path=arguments.check_path(path),
            items=arguments.encode_items(items),
        )
        answer = await self._call(APPEND, request, timeout)
        return answer.header.revision

    async def increment(
        self, path: str, by: float = 1, *, expected: Expected = None, timeout: float | None = None
    ) -> int | float:
        """Add to the number at a path, which starts at 0 where it is missing. Gives the new value.

        Raises:
            PathError: what is there is no number.
        """
        request = IncrementRequest(
            context=self._writing(expected),
            path=arguments.check_path(path),
            by=arguments.encode(arguments.check_number(by, "by")),
        )
        answer = await self._call(INCREMENT, request, timeout)
        number = convert.value_from(answer.value)
        return arguments.check_number(number, "the new value")

    async def delete(self, path: str, *, expected: Expected = None, timeout: float | None = None) -> bool:
        """Remove what is at a path, and tell whether there was something. ``""`` empties the tree."""
        request = DeleteRequest(context=self._writing(expected), path=arguments.check_path(path))
        answer = await self._call(DELETE, request, timeout)
        return answer.existed

    async def _at(self, at: Past | None, timeout: float | None) -> Target | None:
        if at is None:
            return None
        return await target_of(at, self._source(), field="at", timeout=timeout)

    async def _read(self, path: str, at: Past | None, timeout: float | None, *, omit_value: bool = False) -> ReadResponse:
        request = ReadRequest(
            state=self._reference,
            path=arguments.check_path(path),
            at=await self._at(at, timeout),
            omit_value=omit_value,
        )
        return await self._call(READ, request, timeout)
