"""One step of a workflow: begun, ended by a checkpoint, rolled back where it fails."""

from collections.abc import Awaitable, Callable
from functools import partial
from types import TracebackType
from typing import Any, Self, TypeVar, overload

from lastgood import arguments
from lastgood.attempts import Effect
from lastgood.convert_workflows import effect_from
from lastgood.doubt import InDoubtChoice
from lastgood.errors import InvalidArgumentError, LastgoodError, OutcomeUnknownError, StepOrderError
from lastgood.progress import Checkpoint
from lastgood.retry import Retry
from lastgood.state.shared import SharedState
from lastgood.transport.primitives import apply, check_function, pause, to_its_end
from lastgood.unpicklable import Unpicklable
from lastgood.workflow.calls import StepCalls
from lastgood.workflow.effects import Effects
from lastgood.workflow.run import Run

_Result = TypeVar("_Result")


class Step(Unpicklable):
    """One step of a workflow, made by ``workflow.step``: ``async with workflow.step(3, agent_id="writer") as step``.

    What is written in it is durable and visible when its call ends. At the end a ``COMPLETED`` checkpoint is recorded at its
    last revision. On an exception, or a cancellation, a ``FAILED`` checkpoint of what it had come to is recorded, the state
    goes back to the last good one, and the exception goes on.
    """

    def __init__(
        self,
        run: Run,
        number: int,
        agent_id: str | None,
        *,
        metadata: dict[str, Any] | None,
        retry: Retry | None,
        timeout: float | None,
    ) -> None:
        if retry is not None and not isinstance(retry, Retry):
            text = f"retry must be a lastgood.Retry, got {retry!r}"
            raise InvalidArgumentError(text, field="retry")
        author = run.agent_id if agent_id is None else arguments.check_text(agent_id, "agent_id", empty=True)
        self._calls = StepCalls(run, arguments.check_count(number, "step"), author, timeout)
        self._retry = retry
        self._checkpoint: Checkpoint | None = None
        self._known: tuple[Effect, ...] = ()
        self._effects: Effects | None = None
        self._state = run.state
        self.metadata = metadata

    @property
    def number(self) -> int:
        """Which step."""
        return self._calls.number

    @property
    def agent_id(self) -> str:
        """Who does it: the author of what is written through ``state``."""
        return self._calls.agent_id

    @property
    def state(self) -> SharedState:
        """The workflow's state, bound to the attempt, and written by the agent of the step."""
        return self._state

    @property
    def effects(self) -> tuple[Effect, ...]:
        """The effects that the step had had already when it began: in a try before, or before a resume."""
        return self._known

    @property
    def checkpoint(self) -> Checkpoint | None:
        """What was recorded when the step ended; None before."""
        return self._checkpoint

    @property
    def metadata(self) -> dict[str, Any] | None:
        """A dict, kept with the checkpoint. It may be set as long as the step is open."""
        return self._metadata

    @metadata.setter
    def metadata(self, metadata: dict[str, Any] | None) -> None:
        arguments.encode_metadata(metadata)
        self._metadata = metadata

    def __repr__(self) -> str:
        """For people."""
        return f"Step({self._calls.run.workflow_id!r}, {self.number}, agent_id={self.agent_id!r})"

    async def __aenter__(self) -> Self:
        """Begin the step.

        Raises:
            StepOrderError: it is not the next one, another is open, or no attempt has begun.
            FencedError: a later attempt has begun.
            LeaseLostError: the claim of the workflow is lost.
            InvalidArgumentError: it is to be tried again where it fails, which only ``run`` can do.
        """
        if self._retry is not None:
            text = "the body of a with block cannot run twice: give a step with retry= its function by step.run(function)"
            raise InvalidArgumentError(text, field="retry")
        await self._begin()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End the step."""
        if error is None:
            await self._complete()
        else:
            await self._fail(error)

    @overload
    async def run(self, function: Callable[..., Awaitable[_Result]], *args: object) -> _Result: ...

    @overload
    async def run(self, function: Callable[..., _Result], *args: object) -> _Result: ...

    async def run(self, function: Callable[..., Awaitable[_Result] | _Result], *args: object) -> _Result:
        """Do the whole step by ``await function(step, *args)``, again as ``retry=`` says, and give what it returns.

        Each try that fails is rolled back and recorded as ``FAILED`` before the next one begins. What ``once`` has recorded
        in one is not run again in the next. The last exception goes on.

        Raises:
            StepOrderError: it is not the next one, another is open, or no attempt has begun.
            FencedError: a later attempt has begun.
            LeaseLostError: the claim of the workflow is lost.
        """
        check_function(function, "function")
        tries = 0
        while True:
            await self._begin()
            tries += 1
            try:
                result = await apply(function, self, *args)
            except BaseException as error:
                if not await self._fail(error) or self._retry is None:
                    raise
                seconds = self._retry.pause_after(tries, error)
                if seconds is None:
                    raise
            else:
                await self._complete()
                return result
            await pause(seconds)

    @overload
    async def once(
        self,
        key: str,
        function: Callable[..., Awaitable[_Result]],
        *args: object,
        in_doubt: InDoubtChoice | Callable[[str], object] = "run",
        failures: tuple[type[Exception], ...] | type[Exception] = (),
    ) -> _Result: ...

    @overload
    async def once(
        self,
        key: str,
        function: Callable[..., _Result],
        *args: object,
        in_doubt: InDoubtChoice | Callable[[str], object] = "run",
        failures: tuple[type[Exception], ...] | type[Exception] = (),
    ) -> _Result: ...

    async def once(
        self,
        key: str,
        function: Callable[..., Awaitable[_Result] | _Result],
        *args: object,
        in_doubt: InDoubtChoice | Callable[[str], object] = "run",
        failures: tuple[type[Exception], ...] | type[Exception] = (),
    ) -> _Result:
        """Run ``await function(*args)`` and record what it gives, or give what was recorded before, without running it.

        That holds in a retry and after a resume. Of two calls with the same key at the same time the second waits for the
        first. An exception leaves the effect in doubt, and goes on. An effect whose result cannot be stored is recorded as
        done, and does not run again: this call and all later ones raise InvalidValueError, or at first TooLargeError.

        Args:
            key: names the effect within the step.
            function: async or plain. One that blocks is handed over as ``step.once(key, asyncio.to_thread, function)``.
            args: what it is called with.
            in_doubt: what to do where it was begun before, and nothing is known of its end. ``"run"``: run it again, with
                the same idempotency key. ``"raise"``: InDoubtError. A function: it is called with the idempotency key, asks
                the outside service, and gives the result, or ``lastgood.NOT_DONE`` if there is none, so that it runs.
            failures: exceptions that count as results. They are recorded, and raised again instead of a second call.

        Raises:
            InDoubtError: it is in doubt, and that was asked for.
            InvalidValueError, TooLargeError: its result cannot be stored.
            EffectFailedError: a failure is recorded, of a class that is not among ``failures``, or not to be made again.
            StepOrderError: the step is not open.
            FencedError: a later attempt has begun.
            LeaseLostError: the claim of the workflow is lost.
        """
        arguments.check_text(key, "key")
        check_function(function, "function")
        if callable(in_doubt):
            check_function(in_doubt, "in_doubt")
        elif in_doubt not in ("run", "raise"):
            text = f"in_doubt must be 'run', 'raise' or a function that asks the outside service, got {in_doubt!r}"
            raise InvalidArgumentError(text, field="in_doubt")
        listed = arguments.check_exceptions(failures, "failures")
        result: _Result = await self._ledger().once(key, partial(function, *args), in_doubt, listed)
        return result

    def idempotency_key(self, key: str) -> str:
        """Give what the outside service can tell a repetition by: the same in a retry and after a resume.

        Raises:
            StepOrderError: the step is not open.
        """
        return self._ledger().idempotency_key(arguments.check_text(key, "key"))

    async def _begin(self) -> None:
        calls = self._calls
        calls.run.check_begun(f"step {calls.number}", calls.number)
        try:
            answer = await calls.begin()
        except BaseException as error:
            if not isinstance(error, LastgoodError) or isinstance(error, OutcomeUnknownError):
                await self._fail(error)  # it may have begun, and nobody is going to end it
            raise
        self._checkpoint = None
        self._state = calls.run.handle(calls.agent_id)
        self._known = tuple(map(effect_from, answer.effects))
        self._effects = Effects(calls, answer, self._known)

    async def _complete(self) -> None:
        try:
            metrics, metadata = self._calls.metrics(), arguments.encode_metadata(self._metadata)
        except LastgoodError as error:
            await self._fail(error)
            raise
        self._effects = None
        self._checkpoint = await to_its_end(self._calls.complete, metrics, metadata)

    async def _fail(self, error: BaseException) -> bool:
        """Roll the step back and record that it has failed; tell whether that could be done."""
        self._effects = None
        try:
            self._checkpoint = await to_its_end(self._calls.fail, error, self._metadata)
        except LastgoodError as trouble:
            error.add_note(
                f"lastgood: step {self.number} of workflow {self._calls.run.workflow_id!r} could not be recorded as failed: "
                f"what it has written is rolled back at the next resume ({trouble})"
            )
            return False
        return True

    def _ledger(self) -> Effects:
        if self._effects is None:
            workflow_id = self._calls.run.workflow_id
            text = f"step {self.number} of workflow {workflow_id!r} is not open: use it within its 'async with'"
            raise StepOrderError(text, workflow_id=workflow_id, step=self.number)
        return self._effects
