"""The token that a client shows, and the authorities that it trusts: what is named, or what the environment says.

What could never be sent or trusted is refused before there is any connection.
"""

import os
from collections.abc import Mapping
from pathlib import Path

import grpc

from lastgood import arguments
from lastgood.errors import InvalidArgumentError
from lastgood_proto.texts import MAX_TOKEN_BYTES, problem_with_token

TLS = bool | str | os.PathLike[str] | grpc.ChannelCredentials
_YES = frozenset({"1", "true", "yes", "on"})
_NO = frozenset({"", "0", "false", "no", "off"})


def token_of(token: str | None, environment: Mapping[str, str] = os.environ) -> str | None:
    """Return the token to send: the one that is named, or ``LASTGOOD_TOKEN``; an empty one is none.

    Raises:
        InvalidArgumentError: it cannot be sent.
    """
    if token is None:
        found, source = environment.get("LASTGOOD_TOKEN", ""), "LASTGOOD_TOKEN"
        if not found:
            return None
    else:
        found, source = arguments.check_text(token, "token", limit=MAX_TOKEN_BYTES), "token"
    problem = problem_with_token(found)
    if problem:
        text = f"{source} {problem}"
        raise InvalidArgumentError(text, field="token")
    return found


def credentials_of(tls: TLS | None, environment: Mapping[str, str] = os.environ) -> grpc.ChannelCredentials | None:
    """Return what TLS is done with: what is named, or ``LASTGOOD_TLS``; None is without.

    Raises:
        InvalidArgumentError: it is nothing of that, or cannot be read.
    """
    if isinstance(tls, grpc.ChannelCredentials):
        return tls
    if tls is None:
        said = environment.get("LASTGOOD_TLS", "")
        tls = said.lower() in _YES or (False if said.lower() in _NO else os.path.expanduser(said))  # noqa: PTH111 - a text
    if isinstance(tls, bool):
        return grpc.ssl_channel_credentials() if tls else None
    field = "tls"
    try:
        authorities = Path(tls).read_bytes()
    except TypeError:
        text = f"tls must be True, the path of a PEM file or grpc.ChannelCredentials, got {tls!r}"
        raise InvalidArgumentError(text, field=field) from None
    except OSError as error:
        text = f"tls: the authorities in {tls} cannot be read: {error.strerror}"
        raise InvalidArgumentError(text, field=field) from error
    if b"-----BEGIN CERTIFICATE-----" not in authorities:
        text = f"tls: there is no certificate in {tls}, which must be a PEM file of authorities"
        raise InvalidArgumentError(text, field=field)
    return grpc.ssl_channel_credentials(root_certificates=authorities)
