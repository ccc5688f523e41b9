"""Values as JSON, and back; the documents that ``--json`` prints.

What JSON cannot say is a map of one key:

    bytes                      {"$bytes": "AAH/"}                           base64
    datetime                   {"$datetime": "2026-11-23T05:50:12.5Z"}      with its zone
    nan and the infinities     {"$float": "nan"}, "inf", "-inf"
    a map that looks like one  {"$map": {"$bytes": 1}}                      of these

Everything else is what it looks like. ``to_json`` and ``from_json`` are exact opposites.
"""

import base64
import json
import math
import re
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from lastgood import Checkpoint, Difference, HistoryEntry, Snapshot

_TAGS = frozenset({"$bytes", "$datetime", "$float", "$map"})
_FLOATS = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}

_UNSAFE = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]")
"""What JSON lets stand in a text, but a terminal may take for a command, or turns the line around."""

JSON_HELP = """\
What JSON has no word for is a map of one key:
  {"$bytes": "AAH/"}                       bytes, in base64
  {"$datetime": "2026-11-23T05:50:12.5Z"}  a time, with its zone
  {"$float": "nan"}                        also "inf" and "-inf"
  {"$map": {"$bytes": 1}}                  a map that looks like one of these\
"""


class NotAValueError(ValueError):
    """A text is no JSON, or JSON that stands for no value."""


def to_json(value: Any) -> Any:  # noqa: ANN401 - any value of the model
    """Give a value as something that ``json`` takes."""
    match value:
        case dict():
            plain = {key: to_json(child) for key, child in value.items()}
            return {"$map": plain} if len(plain) == 1 and not _TAGS.isdisjoint(plain) else plain
        case list():
            return [to_json(child) for child in value]
        case bytes():
            return {"$bytes": base64.b64encode(value).decode()}
        case datetime():
            return {"$datetime": time_text(value)}
        case float() if not math.isfinite(value):
            return {"$float": "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"}
        case _:
            return value


def from_json(text: str) -> Any:  # noqa: ANN401 - any value of the model
    """Read a value.

    Raises:
        NotAValueError: it is none.
    """
    try:
        return _value(json.loads(text, object_pairs_hook=_map, parse_constant=_no_constant, parse_float=_float))
    except NotAValueError:
        raise
    except json.JSONDecodeError as error:
        raise NotAValueError(str(error)) from None
    except (ValueError, RecursionError) as error:
        message = f"it cannot be read: {error}"
        raise NotAValueError(message) from None


def time_text(moment: datetime) -> str:
    """Give a moment in UTC, as ISO 8601 has it."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def write(document: object) -> None:
    """Print a document, which ``to_json`` has been applied to where it carries values."""
    plain = (sys.stdout.encoding or "").lower().replace("-", "") != "utf8"
    text = json.dumps(document, ensure_ascii=plain, indent=2)
    sys.stdout.write(_UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", text) + "\n")


def snapshot_document(snapshot: Snapshot) -> dict[str, Any]:
    """A snapshot that somebody took."""
    return {
        "snapshot_id": snapshot.snapshot_id,
        "state": snapshot.state_id,
        "revision": snapshot.revision,
        "label": snapshot.label,
        "metadata": to_json(snapshot.metadata),
        "created_at": time_or_none(snapshot.created_at),
    }


def entry_document(entry: HistoryEntry) -> dict[str, Any]:
    """One revision. ``value`` is left out where there is none; ``source`` is what a restore went back to."""
    source = entry.source
    return {
        "revision": entry.revision,
        "path": entry.path,
        "operation": entry.operation,
        "agent_id": entry.agent_id,
        "attempt": entry.attempt,
        "step": entry.step,
        "timestamp": time_or_none(entry.timestamp),
        "source": None if source is None else {"state": source.state_id, "revision": source.revision},
        "existed": entry.existed,
        **({"value": to_json(entry.value)} if entry.existed else {}),
    }


def difference_document(difference: Difference) -> dict[str, Any]:
    """One difference. ``old`` is left out where it was added, ``new`` where it was removed."""
    return {
        "path": difference.path,
        "kind": difference.kind,
        **({} if difference.kind == "added" else {"old": to_json(difference.old)}),
        **({} if difference.kind == "removed" else {"new": to_json(difference.new)}),
    }


def checkpoint_document(checkpoint: Checkpoint) -> dict[str, Any]:
    """A checkpoint. ``state`` and ``revision`` say of what it was made."""
    metrics = checkpoint.metrics
    return {
        "step": checkpoint.step,
        "attempt": checkpoint.attempt,
        "status": checkpoint.status.value,
        "agent_id": checkpoint.agent_id,
        "state": checkpoint.state_snapshot.state_id,
        "revision": checkpoint.state_snapshot.revision,
        "metrics": None if metrics is None else to_json(asdict(metrics)),
        "metadata": to_json(checkpoint.metadata),
        "created_at": time_or_none(checkpoint.created_at),
        "superseded": checkpoint.superseded,
    }


def time_or_none(moment: datetime | None) -> str | None:
    """Give a moment as ``time_text`` does; None stays None."""
    return None if moment is None else time_text(moment)


def _map(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    read = dict(pairs)
    if len(read) < len(pairs):
        names = [name for name, _ in pairs]
        message = f"the key {next(name for name in names if names.count(name) > 1)!r} is there twice"
        raise NotAValueError(message)
    return read


def _value(read: Any) -> Any:  # noqa: ANN401 - any value of the model
    if isinstance(read, list):
        return [_value(each) for each in read]
    if not isinstance(read, dict):
        return read
    if len(read) != 1 or _TAGS.isdisjoint(read):
        return {key: _value(child) for key, child in read.items()}
    [(tag, content)] = read.items()
    if tag == "$map" and isinstance(content, dict):
        return {key: _value(child) for key, child in content.items()}
    try:
        return _tagged(tag, content)
    except (ValueError, TypeError, KeyError):
        message = f"{json.dumps(read)[:80]} says nothing that {tag!r} can stand for"
        raise NotAValueError(message) from None


def _tagged(tag: str, content: Any) -> Any:  # noqa: ANN401 - any value of the model
    match tag:
        case "$bytes":
            return base64.b64decode(content, validate=True)
        case "$datetime":
            moment = datetime.fromisoformat(content)
            if moment.utcoffset() is None:
                raise ValueError
            return moment
        case "$float":
            return _FLOATS[content]
        case _:
            raise TypeError


def _no_constant(name: str) -> float:
    message = f'{name} is no JSON: {{"$float": "nan"}} is, with "nan", "inf" or "-inf"'
    raise NotAValueError(message)


def _float(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        message = f"{text[:40]} is more than a float can hold"
        raise NotAValueError(message)
    return number
