"""SharedState: the whole handle."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import uuid4

from lastgood import arguments
from lastgood.operations import FORK
from lastgood.state.content import StateContent
from lastgood.state.handle import Source, StateHandle, source_of
from lastgood.state.past import StatePast
from lastgood.state.target import Past
from lastgood.state.transaction import Transaction, retry_on_conflict
from lastgood.transport.primitives import apply, check_function
from lastgood.transport.registry import shared_connection
from lastgood_proto.v1.common_pb2 import Fence
from lastgood_proto.v1.history_pb2 import ForkRequest

if TYPE_CHECKING:
    from lastgood.client import Client

_Result = TypeVar("_Result")


class SharedState(StateContent, StatePast):
    """A versioned tree that agents in many processes share.

    Making a handle does no I/O. A state that nobody has written reads as empty, at revision 0.

    Args:
        state_id: any non-empty text; None makes a new state with an id of its own.
        initial_data: written before this handle's first call, as revision 1, if the state is at revision 0 then, and ignored
            otherwise.
        agent_id: recorded as the author of what is written; None is the client's.
        client: None is the default one of this process and event loop.

    Raises:
        InvalidValueError: ``initial_data`` is no dict, or cannot be stored.
    """

    def __init__(
        self,
        state_id: str | None = None,
        *,
        initial_data: dict[str, Any] | None = None,
        agent_id: str | None = None,
        client: "Client | None" = None,
    ) -> None:
        super().__init__(
            uuid4().hex if state_id is None else state_id,
            shared_connection if client is None else source_of(client),
            agent_id=client.agent_id if agent_id is None and client is not None else agent_id,
            initial_data=initial_data,
        )

    @classmethod
    def _of(cls, state_id: str, source: Source, *, agent_id: str, fence: Fence | None = None) -> "SharedState":
        """Make a handle on the connection of another object."""
        state = cls.__new__(cls)
        StateHandle.__init__(state, state_id, source, agent_id=agent_id, fence=fence)
        return state

    def transaction(self, *, timeout: float | None = None) -> Transaction:
        """Begin a transaction: ``async with state.transaction() as tx``.

        ``await tx.get(path)`` sees what is buffered; ``tx.set``, ``tx.delete``, ``tx.append`` … are plain calls that buffer
        and give None. On exit all of it is one revision.

        Args:
            timeout: seconds for each of its calls; None is the client's.

        Raises:
            RevisionConflictError: on exit, where something that it has read has changed since.
        """
        return Transaction(self, timeout=timeout)

    async def transact(
        self, function: Callable[[Transaction], Awaitable[_Result]], *, timeout: float | None = None
    ) -> _Result:
        """Run ``await function(tx)`` in a transaction, again where that meets a conflict, and give what it returns.

        Args:
            function: may run several times, so it should do nothing but read and write the transaction.
            timeout: seconds for each call, and for trying again, which is done ten times at least.

        Raises:
            RevisionConflictError: it has met nothing but conflicts.
        """
        check_function(function, "function")

        async def attempt() -> _Result:
            async with self.transaction(timeout=timeout) as transaction:
                return await apply(function, transaction)

        return await retry_on_conflict(attempt, self._source().timeout if timeout is None else timeout)

    async def fork(
        self, state_id: str | None = None, *, at: Past | None = None, timeout: float | None = None
    ) -> "SharedState":
        """Make a new state with the content of this one as its revision 1, and give a handle of it.

        Args:
            state_id: its id; None makes one.
            at: the content to take, named as for ``get``; None is the present one.
            timeout: seconds; None is the client's.

        Raises:
            StateExistsError: the id is in use.
        """
        request = ForkRequest(
            state=self._reference,
            context=self._changer,
            at=await self._at(at, timeout),
            new_state_id="" if state_id is None else arguments.check_text(state_id, "state_id"),
        )
        # Its answer is about the new state, so this handle has nothing to learn from it.
        await self._begin(timeout)
        answer = await self._source().call(FORK, request, timeout=timeout)
        return self._of(answer.state_id, self._source, agent_id=self._agent_id)
