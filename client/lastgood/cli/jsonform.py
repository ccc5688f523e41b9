"""The documents that ``--json`` prints; how values are written there is in ``lastgood_proto/jsonform.py``."""

import sys
from dataclasses import asdict
from datetime import datetime
from typing import Any

from lastgood import Checkpoint, Difference, HistoryEntry, Snapshot
from lastgood_proto.jsonform import NotAValueError, from_json, text_of, time_text, to_json

__all__ = [
    "JSON_HELP",
    "NotAValueError",
    "checkpoint_document",
    "difference_document",
    "entry_document",
    "from_json",
    "snapshot_document",
    "time_or_none",
    "time_text",
    "to_json",
    "write",
]

JSON_HELP = """\
What JSON has no word for is a map of one key:
  {"$bytes": "AAH/"}                       bytes, in base64
  {"$datetime": "2026-11-23T05:50:12.5Z"}  a time, with its zone
  {"$float": "nan"}                        also "inf" and "-inf"
  {"$map": {"$bytes": 1}}                  a map that looks like one of these\
"""


def write(document: object) -> None:
    """Print a document, which ``to_json`` has been applied to where it carries values."""
    plain = (sys.stdout.encoding or "").lower().replace("-", "") != "utf8"
    sys.stdout.write(text_of(document, ascii_only=plain, indent=2) + "\n")


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
    """One revision. ``value`` is left out where there is none, or a large one; ``source`` is what a restore went back to."""
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
        **({"carried": False} if not entry.carried else {"value": to_json(entry.value)} if entry.existed else {}),
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
