"""The one stop where a call is let through or not.

Today everybody who reaches the daemon may do everything: its socket belongs to one user, and a token, where one is
configured, keeps others out. Finer rules go here and nowhere else.
"""

import hmac
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

from google.protobuf.message import Message

from lastgood_daemon.engine.errors import RefusedError

Verb = Literal["read", "write", "maintain"]
"""``maintain``: done to the store as a whole."""

Subject = Callable[[Any], tuple[str, str]]
"""Returns the id of the state or workflow, and the path, that a request is about."""


class UnauthenticatedError(RefusedError):
    """The caller did not prove who it is."""

    reason = "UNAUTHENTICATED"


class PermissionDeniedError(RefusedError):
    """The caller is known, and may not do that."""

    reason = "PERMISSION_DENIED"

    def __init__(self, message: str) -> None:
        super().__init__(message)


class Principal(NamedTuple):
    """Who calls."""

    name: str


def authenticate(metadata: dict[str, str | bytes], token: str | None) -> Principal:
    """Give who calls, or raise ``UnauthenticatedError`` where a token is needed and another or none was given."""
    if token is None:
        return Principal("local")
    given = metadata.get("authorization", "")
    text = given if isinstance(given, str) else ""
    if not hmac.compare_digest(text.encode(), f"Bearer {token}".encode()):
        wanted = "another token than the one given" if text else "a token"
        message = f"this daemon wants {wanted}; connect with token=…, or set LASTGOOD_TOKEN"
        raise UnauthenticatedError(message)
    return Principal("token")


def authorize(principal: Principal, verb: Verb, subject: Subject, request: Message) -> None:
    """Raise ``RefusedError`` where a principal may not do that to what a request is about."""
    del principal, verb, subject, request
