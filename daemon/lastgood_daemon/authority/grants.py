"""Grants that have not been heard of: a claim that waited was granted, and its claimant may have been killed just then.

The next claimant must not wait for the lease of one that never knew of it. One that has lost its connection, and is about to
come back, has time to do so::

    granted ──▶ heard: the claimant has acknowledged the answer      the lease is its own from now on
            └─▶ not connected, and still not after GONE_SECONDS      given up
"""

import asyncio
from collections.abc import Callable

from lastgood_daemon.authority.commands.attempts import Claim
from lastgood_daemon.authority.submission import Listener

GONE_SECONDS = 1.5
"""How long a claimant without a connection is waited for."""


class Grants:
    """The grants of which nobody is known to have heard.

    Args:
        is_held: whether a claim still holds its workflow.
        give_up: ends the lease of a claim.
    """

    def __init__(self, is_held: Callable[[Claim], bool], give_up: Callable[[Claim], None]) -> None:
        self._is_held = is_held
        self._give_up = give_up

    def watch(self, claim: Claim, listener: Listener) -> None:
        """Give a claim up that was granted, if its claimant has gone without having heard of that."""
        self._look_later(claim, listener, was_gone=False)

    def _look_later(self, claim: Claim, listener: Listener, *, was_gone: bool) -> None:
        loop = asyncio.get_running_loop()
        loop.call_later(GONE_SECONDS, self._look, claim, listener, was_gone)

    def _look(self, claim: Claim, listener: Listener, was_gone: bool) -> None:  # noqa: FBT001 - call_later takes no names
        if listener.has_heard or not self._is_held(claim):
            return
        is_gone = not listener.is_there
        if is_gone and was_gone:
            self._give_up(claim)
        else:
            self._look_later(claim, listener, was_gone=is_gone)
