"""Who answers, compared with who was meant, before a token or a call is sent.

Who was meant is known from two sides: the endpoint.json of a folder was written by its daemon, which shows that it knows the
secret in there; and what this client has met before is the copy of the store that its revisions and attempts are of.
"""

import hmac
import secrets
from typing import Protocol

from lastgood.errors import LastgoodError, StoreReplacedError
from lastgood.locate import Endpoint, Location
from lastgood.transport.link import Link, LinkBrokenError
from lastgood_proto import proof
from lastgood_proto.v1.process_pb2 import IdentifyRequest

_NONCE_BYTES = 32


class StrangerError(LinkBrokenError):
    """Somebody else has the address that the endpoint.json of a folder names."""


class Answering(Protocol):
    """A daemon, as far as it tells one copy of a store from another."""

    @property
    def daemon_id(self) -> str:
        """Which store."""

    @property
    def copy_id(self) -> str:
        """Which copy of it."""


async def check_identity(link: Link, endpoint: Endpoint, location: Location, met: Answering | None) -> None:
    """Ask who answers, where it is known who should.

    Raises:
        StrangerError: it did not write the endpoint.json.
        StoreReplacedError: it has another copy of the store than this client has met.
    """
    if not endpoint.secret and met is None:
        return
    nonce = secrets.token_bytes(_NONCE_BYTES)
    stranger = f"what answers at {endpoint.address} did not write {location}/endpoint.json, which names that address"
    try:
        answer = await link.identify(IdentifyRequest(nonce=nonce))
    except LastgoodError as error:
        if endpoint.secret:
            raise StrangerError(stranger) from error
        raise
    if endpoint.secret and not hmac.compare_digest(answer.proof, proof.of_identity(endpoint.secret, nonce)):
        raise StrangerError(stranger)
    if met is not None:
        check_copy(location, met, answer)


def check_copy(location: Location, met: Answering, found: Answering) -> None:
    """Raise StoreReplacedError where another copy of the store answers than the one met before."""
    if (met.daemon_id, met.copy_id) == (found.daemon_id, found.copy_id):
        return
    if met.daemon_id == found.daemon_id:
        what = f"copy {found.copy_id} of the store {met.daemon_id} answers now, and this client has met copy {met.copy_id}"
        why = "the store was restored from a backup, or copied"
    else:
        what = f"the store {found.daemon_id} answers now, and this client has met the store {met.daemon_id}"
        why = "another daemon has the address now, or its folder was made anew"
    text = (
        f"at {location} {what}: {why}. What this client knows (revisions, attempts, conditions, snapshots) means other "
        "things there. Connect again, and begin with what is there"
    )
    raise StoreReplacedError(text, met=met.copy_id, found=found.copy_id)
