"""The operation of RedactionService."""

from lastgood_daemon.authority.redaction import Wanted
from lastgood_daemon.engine.errors import InvalidArgumentError
from lastgood_daemon.rpc.operations import Edge, Operation, Run, of_context
from lastgood_daemon.rpc.requests import author_of, state_of, text_of
from lastgood_proto.texts import MAX_MESSAGE_BYTES
from lastgood_proto.v1 import redaction_pb2

LEAST = 4
"""Characters of a text: a shorter one would be found in too much that has nothing to do with it."""
REPLACEMENT = "[redacted]"


def redact(edge: Edge, request: redaction_pb2.RedactRequest) -> Run:
    """RedactionService.Redact."""
    wanted = Wanted(
        state_of(request.context.state),
        author_of(request.context),
        _text_of(request.text),
        _replacement_of(request),
        request.ByteSize(),
    )

    async def work() -> redaction_pb2.RedactResponse:
        done = await edge.authority.redaction.redact(wanted)
        return redaction_pb2.RedactResponse(
            header=edge.headers.of_point(done.point), revisions=done.revisions, records=done.records
        )

    return Run(work)


def _text_of(text: str) -> str:
    field = "text"
    if len(text) < LEAST:
        raise InvalidArgumentError(field, f"must have at least {LEAST} characters, got {len(text)}")
    return text_of(text, field, MAX_MESSAGE_BYTES)


def _replacement_of(request: redaction_pb2.RedactRequest) -> str:
    field, replacement = "replacement", request.replacement or REPLACEMENT
    if request.text in replacement:
        raise InvalidArgumentError(field, "must not contain the text that is redacted")
    return text_of(replacement, field)


OPERATIONS = {
    "redact": Operation("write", of_context, redact),
}
