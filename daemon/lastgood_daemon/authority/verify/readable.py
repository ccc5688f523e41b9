"""Whether what is stored can be read as values.

A checksum says that bytes are those that were written. It does not say that they are values: these are opened only when a
reader asks for them, and would be found damaged there.
"""

from collections.abc import Iterable

import msgspec

from lastgood_daemon.authority.outcomes import decode_outcome
from lastgood_daemon.authority.sessions import Answered, Chunk, Newest
from lastgood_daemon.engine.change import Change, Put, Splice, simple
from lastgood_daemon.engine.checkpoint import Checkpoint
from lastgood_daemon.engine.effect import Effect
from lastgood_daemon.engine.node import Node
from lastgood_daemon.engine.state import Snapshot
from lastgood_daemon.engine.stored_value import content_of
from lastgood_proto import values


def problem_of_changes(changes: Iterable[Change]) -> str:
    """Return why a value that changes put somewhere cannot be read; "" if all can."""
    for change in changes:
        for each in simple(change):
            stored = [each.value] if isinstance(each, Put) else each.items if isinstance(each, Splice) else []
            problem = _problem(map(content_of, stored))
            if problem:
                return problem
    return ""


def problem_of_content(root: Node) -> str:
    """Return why a content cannot be read; "" if it can."""
    try:
        return _problem([root.encoded()])
    except ValueError as error:  # a part of an image
        return str(error)


def problem_of_record(record: object) -> str:
    """Return why a value inside a record cannot be read; "" if all can."""
    match record:
        case Snapshot(metadata=bytes(value)) | Checkpoint(metadata=bytes(value)) | Effect(result=bytes(value)):
            return _problem([value])
        case Effect(failure=failure) if failure is not None and failure.arguments is not None:
            return _problem([failure.arguments])
        case Newest(answers=answers) | Chunk(answers=answers):
            try:
                for remembered in answers.values():
                    decode_outcome(Answered.of(remembered).outcome)
            except ValueError as error:
                return str(error)
    return ""


def _problem(encoded: Iterable[bytes]) -> str:
    try:
        for each in encoded:
            if type(values.decode(each)) is msgspec.msgpack.Ext:
                return "it is an extension that no value has"
    except (ValueError, RecursionError) as error:
        return str(error)
    return ""
