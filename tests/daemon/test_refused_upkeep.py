"""Requests that make no sense, of the operations that look after a store: each is refused with the name of the field.

Tokens are the daemon's own. Whoever makes one up gets no more than a refusal, either.
"""

import json
from typing import Any

import pytest
from grpc import StatusCode
from tests.support.daemons import DaemonProcess
from tests.support.grpcurl import Grpcurl, into, of

LONG_ID = "x" * 1025
TEXT = "what is to go"
FENCE = {"attempt": 1}
PLACE = {"incarnation": 1, "head": 1, "floor": 0}
TOO_LARGE = 2**64 - 1

REDACTIONS: list[tuple[dict[str, Any], str]] = [
    ({"text": TEXT}, "state_id"),
    ({"context": into(LONG_ID), "text": TEXT}, "state_id"),
    ({"context": into("s", fence=FENCE), "text": TEXT}, "fence.workflow_id"),
    ({"context": into("s")}, "text"),
    ({"context": into("s"), "text": "abc"}, "text"),
    ({"context": into("s"), "text": "x" * 65_537}, "text"),
    ({"context": into("s"), "text": TEXT, "replacement": f"<{TEXT}>"}, "replacement"),
    ({"context": into("s"), "text": TEXT, "replacement": "x" * 65_537}, "replacement"),
]
IMPORTS: list[tuple[dict[str, Any], str]] = [
    ({"import_id": "i"}, "state_id"),
    ({"state_id": LONG_ID, "import_id": "i"}, "state_id"),
    ({"state_id": "new"}, "import_id"),
    ({"state_id": "new", "import_id": LONG_ID}, "import_id"),
    ({"state_id": "new", "import_id": "i", "offset": str(TOO_LARGE)}, "import_id"),
    ({"state_id": "new", "import_id": "i", "context": {"fence": FENCE}}, "fence.workflow_id"),
    ({"state_id": "new", "import_id": "i", "last": True}, "lines"),
    ({"state_id": "new", "import_id": "i", "last": True, "data": "/////w=="}, "lines"),
]
EXPORT_TOKENS = [
    "x",
    "{}",
    json.dumps({**PLACE, "stage": 5}),
    json.dumps({**PLACE, "stage": -1}),
    json.dumps({**PLACE, "stage": 2, "after": TOO_LARGE}),
    json.dumps({**PLACE, "stage": 2, "after": -1}),
    json.dumps({**PLACE, "offset": -1}),
    json.dumps({**PLACE, "incarnation": TOO_LARGE}),
]
VERIFY_TOKENS = [
    "x",
    ":",
    "logs:x:s",
    "logs:-1:s",
    f"logs:{TOO_LARGE}:s",
    f"logs:{'9' * 5000}:s",
]
PATHS = ["", "here", "/nobody/has/this", "/", "/with/\0", "/" + "x" * 5000]
WRONG = [
    *[("Redaction.Redact", request, field) for request, field in REDACTIONS],
    *[("Transfer.ImportState", request, field) for request, field in IMPORTS],
    ("Transfer.ExportState", {}, "state_id"),
    *[("Transfer.ExportState", {"state": of("s"), "page_token": token}, "page_token") for token in EXPORT_TOKENS],
    *[("Maintenance.Verify", {"page_token": token}, "page_token") for token in VERIFY_TOKENS],
    *[("Maintenance.Backup", {"path": path}, "path") for path in PATHS],
    *[(f"Retention.{name}", of(LONG_ID), "state_id") for name in ("SetRetention", "GetRetention", "Compact")],
]


@pytest.mark.parametrize(("method", "request_", "field"), WRONG, ids=range(len(WRONG)))
async def test_it_is_refused_by_the_name_of_the_field(
    call: Grpcurl, method: str, request_: dict[str, Any], field: str
) -> None:
    refused = await call.refused(method, **request_)
    assert refused == (StatusCode.INVALID_ARGUMENT, "INVALID_ARGUMENT", {"field": field})


async def test_what_is_too_long_for_headers_is_cut(call: Grpcurl, daemon: DaemonProcess) -> None:
    long = "/" + "ü" * 30_000
    refused = await call.refused("Maintenance.Backup", path=long)
    assert refused == (StatusCode.INVALID_ARGUMENT, "INVALID_ARGUMENT", {"field": "path"})
    code, reason, told = await call.refused("State.Read", state=of("s"), path="." + "ü" * 6_000)
    assert (code, reason) == (StatusCode.INVALID_ARGUMENT, "PATH")
    assert len(told["path"].encode()) <= 1027, len(told["path"].encode())
    assert told["path"].startswith(".ü")
    assert told["path"].endswith("…")
    assert daemon.process.poll() is None
