"""The texts in records, and redacting them. What names a record, or something else by its id, is none of them."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from lastgood_daemon.engine.attempt import Attempt, StepAtWork
from lastgood_daemon.engine.checkpoint import Checkpoint
from lastgood_daemon.engine.effect import Effect, Failure
from lastgood_daemon.engine.errors import NotRedactableError
from lastgood_daemon.engine.lease import Lease
from lastgood_daemon.engine.redaction import Redactor
from lastgood_daemon.engine.state import Snapshot
from lastgood_daemon.engine.workflow import Progress

T = TypeVar("T")

Texts = Mapping[type, Sequence[str]]
"""The fields of records in which texts are: a str; the bytes of a value; or something in which there are some."""

OF_RECORDS: Texts = {
    Snapshot: ("label", "metadata"),
    Checkpoint: ("agent_id", "metadata"),
    Attempt: ("agent_id", "holder"),
    Effect: ("agent_id", "result", "failure"),
    Failure: ("type_name", "message", "arguments"),
    Progress: ("agent_id", "lease", "step"),
    Lease: ("holder",),
    StepAtWork: ("agent_id",),
}


def redacted(part: T, redactor: Redactor, texts: Texts = OF_RECORDS) -> T:
    """Give a record, or a part of one, without a text; the very same where it is not in there."""
    after: Any
    match part:
        case str():
            after = redactor.text(part)
        case bytes():
            after = redactor.value(part) if redactor.is_in(part) else part
        case list():
            after = [redacted(each, redactor, texts) for each in part]
        case dict():
            after = {name: redacted(each, redactor, texts) for name, each in part.items()}
        case msgspec.Struct():
            fields = {name: getattr(part, name) for name in texts.get(type(part), ())}
            changed = {name: redacted(value, redactor, texts) for name, value in fields.items()}
            after = part if changed == fields else msgspec.structs.replace(part, **changed)
        case _:
            after = part
    return part if after == part else after


def require_replaceable(part: object, redactor: Redactor) -> None:
    """Raise ``NotRedactableError`` where a text is in what names a record, or something else."""
    if not isinstance(part, msgspec.Struct):
        return
    texts = OF_RECORDS.get(type(part), ())
    for name in part.__struct_fields__:
        value = getattr(part, name)
        if isinstance(value, str) and name not in texts and redactor.has(value):
            where = f"the {name} of the {type(part).__name__.lower()}"
            raise NotRedactableError(where)
        require_replaceable(value, redactor)
