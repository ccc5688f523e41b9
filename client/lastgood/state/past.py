"""The past of a state: snapshots, restore, history, differences, forks."""

from collections.abc import AsyncIterator, Iterable
from datetime import datetime
from typing import Any

from lastgood import arguments, convert
from lastgood.convert_workflows import effect_from
from lastgood.errors import InvalidArgumentError
from lastgood.models import Difference, HistoryEntry, Lineage, Preview, Redaction, Snapshot
from lastgood.operations import (
    CREATE_SNAPSHOT,
    DELETE_SNAPSHOT,
    DIFF,
    GET_LINEAGE,
    GET_SNAPSHOT,
    LIST_HISTORY,
    LIST_SNAPSHOTS,
    PREVIEW,
    REDACT,
    RESTORE,
)
from lastgood.state.handle import Expected, StateHandle
from lastgood.state.target import Past, bound_of, target_of
from lastgood_proto.texts import MAX_MESSAGE_BYTES
from lastgood_proto.v1.common_pb2 import Target
from lastgood_proto.v1.history_pb2 import (
    CreateSnapshotRequest,
    DeleteSnapshotRequest,
    DiffRequest,
    GetLineageRequest,
    GetSnapshotRequest,
    ListHistoryRequest,
    ListSnapshotsRequest,
    PreviewRequest,
    RestoreRequest,
)
from lastgood_proto.v1.redaction_pb2 import RedactRequest

_HISTORY_PAGE = 1000
_SMALL = 64 * 1024
"""Bytes of a value that an entry carries in the history of a whole state."""


class StatePast(StateHandle):
    """Everything that looks at or goes back to earlier revisions. All calls take ``timeout`` as the others do."""

    async def snapshot(
        self, label: str | None = None, *, metadata: dict[str, Any] | None = None, timeout: float | None = None
    ) -> Snapshot:
        """Name the present revision and keep it until the snapshot is deleted. Copies nothing, however big the state is.

        Args:
            label: a name for people.
            metadata: a dict, kept with it.
            timeout: seconds; None is the client's.
        """
        request = CreateSnapshotRequest(
            state=self._reference,
            context=self._changer,
            label=None if label is None else arguments.check_text(label, "label", empty=True),
            metadata=arguments.encode_metadata(metadata),
        )
        answer = await self._call(CREATE_SNAPSHOT, request, timeout)
        return convert.snapshot_from(answer.snapshot, answer.header, self._locator)

    async def list_snapshots(self, *, timeout: float | None = None) -> list[Snapshot]:
        """List the snapshots of this state, in the order in which they were taken."""
        request = ListSnapshotsRequest(state=self._reference)
        found: list[Snapshot] = []
        while True:
            answer = await self._call(LIST_SNAPSHOTS, request, timeout)
            header = answer.header
            found.extend(convert.snapshot_from(each, header, self._locator) for each in answer.snapshots)
            if not answer.next_page_token:
                return found
            request.page_token = answer.next_page_token

    async def get_snapshot(self, snapshot_id: str, *, timeout: float | None = None) -> Snapshot:
        """Give the snapshot of that id.

        Raises:
            SnapshotNotFoundError: there is none.
        """
        name = arguments.check_text(snapshot_id, "snapshot_id")
        request = GetSnapshotRequest(state=self._reference, snapshot_id=name)
        answer = await self._call(GET_SNAPSHOT, request, timeout)
        return convert.snapshot_from(answer.snapshot, answer.header, self._locator)

    async def delete_snapshot(self, snapshot: Snapshot | str, *, timeout: float | None = None) -> bool:
        """Forget a snapshot, given as such or by its id, and tell whether there was one. The history stays as it is.

        Raises:
            StoreReplacedError: it was taken in another copy of the store.
        """
        request = DeleteSnapshotRequest(state=self._reference, context=self._changer)
        if isinstance(snapshot, Snapshot):
            if snapshot.snapshot_id is None or snapshot.state_id != self._state_id:
                text = f"no snapshot that was taken of {self._state_id!r}: {snapshot!r}"
                raise InvalidArgumentError(text, field="snapshot")
            request.snapshot_id = snapshot.snapshot_id
            request.context.copy_id = snapshot.copy_id
        else:
            request.snapshot_id = arguments.check_text(snapshot, "snapshot")
        answer = await self._call(DELETE_SNAPSHOT, request, timeout)
        return answer.existed

    async def restore(
        self,
        target: Past,
        *,
        paths: Iterable[str] | None = None,
        expected: Expected = None,
        timeout: float | None = None,
    ) -> int:
        """Bring an earlier content back, as a new revision, and give that. A restore can be undone by a restore.

        Args:
            target: a snapshot, a revision, a checkpoint or an aware datetime. One of another state, or of another daemon,
                writes its content here.
            paths: only these subtrees; one that the target does not have is removed. None is the whole tree. One that
                neither has, now or in the target, is PathError.
            expected: as for ``set``.
            timeout: seconds; None is the client's.

        Raises:
            RevisionUnavailableError: the target has been compacted, or is not reached yet.
            CheckpointNotFoundError: the checkpoint has been deleted.
            RevisionConflictError: ``expected`` does not hold.
        """
        request = RestoreRequest(paths=arguments.check_paths(paths), target=await self._target(target, "target", timeout))
        request.context.CopyFrom(self._writing(expected))
        answer = await self._call(RESTORE, request, timeout)
        return answer.header.revision

    async def redact(self, text: str, replacement: str = "[redacted]", *, timeout: float | None = None) -> Redaction:
        """Take a text out for good, such as a key that has leaked: out of this state in all its revisions, and the workflow.

        It is replaced wherever it occurs, as a whole or within: in every str and bytes of every value of every revision, in
        names in maps; in the copies that were made for checkpoints of the workflow of this id; and in the labels, metadata,
        results and other texts of snapshots, checkpoints, attempts and effects. A new revision says so, under the operation
        ``"redact"``. Forks are states of their own, and backups keep it.

        The daemon's file is written anew, so that nothing of it is left there either; writes wait for that. With much data,
        give it time: if that runs out (OutcomeUnknownError), the daemon goes on all the same, and asking again does no harm.

        Args:
            text: at least 4 characters.
            replacement: what is put in its place.
            timeout: seconds; None is the client's.

        Raises:
            NotRedactableError: it is in a path that was written, in an agent's id, or in something else that cannot be
                replaced; or two names in a map would become the same. Nothing was redacted.
        """
        request = RedactRequest(
            context=self._writer,
            text=arguments.check_text(text, "text", limit=MAX_MESSAGE_BYTES),
            replacement=arguments.check_text(replacement, "replacement"),
        )
        answer = await self._call(REDACT, request, timeout)
        return Redaction(answer.header.revision, answer.revisions, answer.records)

    async def preview(self, target: Past, *, paths: Iterable[str] | None = None, timeout: float | None = None) -> Preview:
        """Tell what ``restore`` would change (old is now, new is the target), as a list. Changes nothing.

        Its ``effects`` are what a restore would not take back: where the target is a checkpoint of this workflow, those that
        went out past it.
        """
        request = PreviewRequest(
            state=self._reference,
            paths=arguments.check_paths(paths),
            target=await self._target(target, "target", timeout),
        )
        found = Preview()
        while True:
            answer = await self._call(PREVIEW, request, timeout)
            found.extend(map(convert.difference_from, answer.differences))
            found.effects += tuple(map(effect_from, answer.effects))
            if not answer.next_page_token:
                return found
            request.page_token = answer.next_page_token

    async def diff(self, old: Past, new: Past | None = None, *, timeout: float | None = None) -> list[Difference]:
        """List the differences between two contents, each named as for ``restore``; without ``new``, to now."""
        request = DiffRequest(
            state=self._reference,
            old=await self._target(old, "old", timeout),
            new=None if new is None else await self._target(new, "new", timeout),
        )
        found: list[Difference] = []
        while True:
            answer = await self._call(DIFF, request, timeout)
            found.extend(map(convert.difference_from, answer.differences))
            if not answer.next_page_token:
                return found
            request.page_token = answer.next_page_token

    async def get_history(
        self,
        path: str | None = None,
        *,
        limit: int | None = None,
        newest_first: bool = False,
        before: int | Snapshot | datetime | None = None,
        after: int | Snapshot | datetime | None = None,
        values: bool = True,
        timeout: float | None = None,
    ) -> list[HistoryEntry]:
        """List the revisions in which the value at a path changed, also through an ancestor or a descendant.

        An entry carries its value. Without a path only a small one, of up to 64 KiB, since that of a rollback is the whole
        state; ``state.get(entry.path, at=entry.snapshot)`` fetches a larger one.

        Args:
            path: where; None lists every revision of the state.
            limit: at most so many; None lists all.
            newest_first: from the newest to the oldest, instead of the other way.
            before: only revisions before this one (a revision, a snapshot of this state, or an aware datetime).
            after: only revisions after this one.
            values: whether the entries carry values; without them, a history costs little however large the values are.
            timeout: seconds for each page; None is the client's.
        """
        entries = self.iter_history(
            path, limit=limit, newest_first=newest_first, before=before, after=after, values=values, timeout=timeout
        )
        return [entry async for entry in entries]

    async def iter_history(
        self,
        path: str | None = None,
        *,
        limit: int | None = None,
        newest_first: bool = False,
        before: int | Snapshot | datetime | None = None,
        after: int | Snapshot | datetime | None = None,
        values: bool = True,
        timeout: float | None = None,
    ) -> AsyncIterator[HistoryEntry]:
        """Yield the entries of ``get_history``, and fetch them as they are asked for.

        A long history, or one of large values, is then never in memory as a whole. What is written meanwhile may be among
        the entries.

        Args:
            path: as for ``get_history``, and so all others.
            limit: at most so many.
            newest_first: from the newest to the oldest.
            before: only revisions before this one.
            after: only revisions after this one.
            values: whether the entries carry values.
            timeout: seconds for each page.
        """
        left = None if limit is None else arguments.check_count(limit, "limit")
        request = ListHistoryRequest(
            state=self._reference,
            path=None if path is None else arguments.check_path(path),
            before=await self._bound(before, "before", timeout),
            after=await self._bound(after, "after", timeout),
            newest_first=newest_first,
            omit_values=not values,
            max_value_bytes=_SMALL if path is None else None,
        )
        while left is None or left > 0:
            request.page_size = 0 if left is None else min(left, _HISTORY_PAGE)
            answer = await self._call(LIST_HISTORY, request, timeout)
            read = convert.history_reader(self._state_id, answer.header, self._locator)
            for each in answer.entries[:left]:
                yield read(each)
            if not answer.next_page_token:
                return
            request.page_token = answer.next_page_token
            left = None if left is None else left - len(answer.entries)

    async def lineage(self, *, timeout: float | None = None) -> Lineage | None:
        """Tell where this state was forked from; None where it was not forked."""
        answer = await self._call(GET_LINEAGE, GetLineageRequest(state=self._reference), timeout)
        if not answer.HasField("origin"):
            return None
        origin = answer.origin
        return convert.lineage_from(origin)

    @property
    def _locator(self) -> str:
        return self._source().location.target

    async def _target(self, past: Past, field: str, timeout: float | None) -> Target:
        return await target_of(past, self._source(), field=field, timeout=timeout)

    async def _bound(self, bound: int | Snapshot | datetime | None, field: str, timeout: float | None) -> Target | None:
        if bound is None:
            return None
        return await bound_of(bound, self._state_id, self._source(), field=field, timeout=timeout)
