"""The side effects of one step: each claimed before it runs, recorded after it, and never run again once that is done."""

from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from lastgood import arguments, convert
from lastgood.attempts import Effect
from lastgood.convert_workflows import failure_text
from lastgood.doubt import NOT_DONE, InDoubtChoice
from lastgood.errors import EffectFailedError, InDoubtError, InvalidValueError, TooLargeError
from lastgood.operations import CLAIM_EFFECT, RECORD_EFFECT
from lastgood.transport.primitives import AsyncLock, apply, to_its_end
from lastgood.workflow.calls import StepCalls
from lastgood_proto import effects
from lastgood_proto.v1 import effects_pb2 as wire
from lastgood_proto.v1.workflows_pb2 import (
    IN_DOUBT_REFUSE,
    IN_DOUBT_RUN,
    BeginStepResponse,
    ClaimEffectRequest,
    RecordEffectRequest,
)


class Effects:
    """The ledger of one step, from its begin on.

    Args:
        calls: those about the step.
        begun: what the daemon said when the step began.
        known: the effects that it has had already.
    """

    def __init__(self, calls: StepCalls, begun: BeginStepResponse, known: Iterable[Effect]) -> None:
        self._calls = calls
        self._daemon_id = begun.header.daemon_id
        self._line = begun.line
        self._keys = {effect.key: effect.idempotency_key for effect in known if not effect.superseded}
        self._locks: dict[str, AsyncLock] = {}

    def idempotency_key(self, key: str) -> str:
        """Give what the outside service is given."""
        calls = self._calls
        made = effects.idempotency_key(self._daemon_id, calls.run.workflow_id, self._line, calls.number, key)
        return self._keys.setdefault(key, made)

    async def once(
        self,
        key: str,
        function: Callable[[], Awaitable[object] | object],
        in_doubt: InDoubtChoice | Callable[[str], object],
        failures: tuple[type[Exception], ...],
    ) -> Any:  # noqa: ANN401 - any value of the model, or what the function gives
        """Run it, or give what came of it before."""
        async with self._locks.setdefault(key, AsyncLock()):
            effect, found = await self._claim(key, in_doubt)
            if effect.status != wire.EFFECT_STATUS_CLAIMED:
                return _outcome(effect, failures)
            if found is not NOT_DONE:
                await to_its_end(self._record, key, found)
                return found
            try:
                result = await apply(function)
            except failures as failure:
                await to_its_end(self._record_failure, key, failure)
                raise
            await to_its_end(self._record, key, result)
            return result

    async def _claim(self, key: str, in_doubt: InDoubtChoice | Callable[[str], object]) -> tuple[wire.Effect, object]:
        """Claim an effect, and give it with its result where the outside service was asked for that, or else NOT_DONE."""
        found: object = NOT_DONE
        request = ClaimEffectRequest(
            context=self._calls.context,
            workflow_id=self._calls.run.workflow_id,
            step=self._calls.number,
            key=key,
            in_doubt=IN_DOUBT_RUN if in_doubt == "run" else IN_DOUBT_REFUSE,
        )
        try:
            answer = await self._calls.call(CLAIM_EFFECT, request)
        except InDoubtError as error:
            if not callable(in_doubt):
                raise
            found = await apply(in_doubt, error.idempotency_key)
            request.in_doubt = IN_DOUBT_RUN
            answer = await self._calls.call(CLAIM_EFFECT, request)
        return answer.effect, found

    async def _record(self, key: str, result: object) -> None:
        """Record a result.

        Raises:
            InvalidValueError, TooLargeError: it cannot be stored. That the effect is done is recorded all the same.
        """
        request = self._recording(key)
        try:
            request.result.CopyFrom(arguments.encode(result))
            await self._calls.call(RECORD_EFFECT, request)
        except (InvalidValueError, TooLargeError) as error:
            await self._calls.call(RECORD_EFFECT, self._recording(key))
            text = f"{_done_without_result(key, self._calls.number)}: {error}"
            if isinstance(error, TooLargeError):
                raise TooLargeError(text, size=error.size, limit=error.limit) from None
            raise InvalidValueError(text, path=error.path, type_name=error.type_name) from None

    async def _record_failure(self, key: str, failure: Exception) -> None:
        """Record a failure that counts as a result, with what it can be made from again if that can be stored."""
        told = wire.EffectFailure(type=arguments.class_name(type(failure)), message=arguments.text_of(failure))
        request = self._recording(key)
        request.failure.CopyFrom(told)
        try:
            request.failure.arguments.CopyFrom(arguments.encode(list(failure.args)))
            await self._calls.call(RECORD_EFFECT, request)
        except (InvalidValueError, TooLargeError):
            request.failure.CopyFrom(told)
            await self._calls.call(RECORD_EFFECT, request)

    def _recording(self, key: str) -> RecordEffectRequest:
        calls = self._calls
        return RecordEffectRequest(context=calls.context, workflow_id=calls.run.workflow_id, step=calls.number, key=key)


def _outcome(effect: wire.Effect, failures: tuple[type[Exception], ...]) -> Any:  # noqa: ANN401 - any value of the model
    """Give what is recorded, or raise it."""
    if effect.status == wire.EFFECT_STATUS_FAILED:
        raise _again(effect, failures)
    if not effect.HasField("result"):
        raise InvalidValueError(_done_without_result(effect.key, effect.step))
    return convert.value_from(effect.result)


def _done_without_result(key: str, step: int) -> str:
    return (
        f"effect {key!r} of step {step} is done and does not run again, but its result could not be stored. Have its "
        "function return something that can be, such as the id of what it made; catch this error to go on without the result"
    )


def _again(effect: wire.Effect, failures: tuple[type[Exception], ...]) -> Exception:
    """Make the failure that is recorded, of a class that is listed, or of one derived from it."""
    kind = next((kind for kind in _and_derived(failures) if arguments.class_name(kind) == effect.failure.type), None)
    if kind is not None and effect.failure.HasField("arguments"):
        try:
            return kind(*convert.value_from(effect.failure.arguments))
        except Exception:  # noqa: BLE001, S110 - whatever their constructor makes of it
            pass
    text = f"effect {effect.key!r} of step {effect.step} has failed: {failure_text(effect.failure)}"
    return EffectFailedError(
        text, workflow_id=effect.workflow_id, step=effect.step, key=effect.key, type_name=effect.failure.type
    )


def _and_derived(kinds: Iterable[type[Exception]]) -> Iterable[type[Exception]]:
    for kind in kinds:
        yield kind
        yield from _and_derived(kind.__subclasses__())
