"""``step.once(..., failures=)``: failures that count as results."""

import pytest
from tests.api.outside import Outside, failing

from lastgood import EffectFailedError, ResumableWorkflow, Step


class RefusedError(Exception):
    """The outside service has said no."""


class LimitError(RefusedError):
    """It has said why."""

    def __init__(self, limit: int, what: str) -> None:
        super().__init__(limit, what)
        self.limit = limit


class OddError(RefusedError):
    """It cannot be made from its arguments."""

    def __init__(self) -> None:
        super().__init__("odd", object())


async def test_a_failure_that_is_a_result_is_raised_again(workflow: ResumableWorkflow) -> None:
    outside = Outside(LimitError(5, "cards"))
    for _ in range(2):
        for failures in (LimitError, (KeyError, LimitError), RefusedError):
            with pytest.raises(LimitError, match="cards") as caught:
                async with workflow.step(0, "a") as step:
                    await step.once("pay", outside, failures=failures)
            assert caught.value.limit == 5
    assert len(outside.calls) == 1
    (effect,) = await workflow.list_effects()
    assert (effect.status, effect.in_doubt) == ("failed", False)
    assert effect.failure == f"{__name__}.LimitError: (5, 'cards')"


@pytest.mark.parametrize(
    ("failure", "failures", "name"),
    [
        (LimitError(5, "cards"), (), f"{__name__}.LimitError"),
        (LimitError(5, "cards"), (KeyError, OddError), f"{__name__}.LimitError"),
        (OddError(), RefusedError, f"{__name__}.OddError"),
        (ValueError("no"), RefusedError, "ValueError"),
    ],
)
async def test_a_failure_that_cannot_be_made_again(
    workflow: ResumableWorkflow,
    failure: Exception,
    failures: tuple[type[Exception], ...] | type[Exception],
    name: str,
) -> None:
    async def first(step: Step) -> None:
        with pytest.raises(type(failure)) as caught:
            await step.once("pay", Outside(failure), failures=Exception)
        assert caught.value is failure

    await failing(workflow, first)
    async with workflow.step(0, "a") as step:
        with pytest.raises(EffectFailedError) as caught:
            await step.once("pay", Outside("paid"), failures=failures)
    error = caught.value
    assert (error.workflow_id, error.step, error.key, error.type_name) == (workflow.workflow_id, 0, "pay", name)
    assert error.reason == "EFFECT_FAILED"
    assert str(failure) in str(error)


async def test_other_exceptions_are_no_results(workflow: ResumableWorkflow) -> None:
    outside = Outside(KeyError("x"), "sent")
    async with workflow.step(0, "a") as step:
        with pytest.raises(KeyError):
            await step.once("send", outside, failures=RefusedError)
        assert await step.once("send", outside, failures=RefusedError) == "sent"
