"""``workflow.join_token`` and ``client.join``: helper processes that write within the attempt of another."""

from typing import Any

import pytest

from lastgood import Client, FencedError, InvalidArgumentError, StepOrderError


async def test_helpers_join_the_attempt(client: Client, second_client: Client, wf: str) -> None:
    workflow = client.workflow(wf)
    async with workflow:
        helper = second_client.join(workflow.join_token, agent_id="helper")
        assert helper.state_id == wf
        await helper.set("x", 1)
        (entry,) = await helper.get_history("x")
        assert (entry.agent_id, entry.attempt, entry.step) == ("helper", 1, None)
        async with workflow.step(0, "a"):
            await helper.set("x", 2)
        assert (await helper.get_history("x"))[-1].step == 0
        old = workflow.join_token
        await workflow.try_resume()
        assert workflow.join_token != old
        with pytest.raises(FencedError):
            await helper.set("x", 3)


async def test_a_join_token_of_any_id(client: Client, wf: str) -> None:
    workflow = client.workflow(f"{wf}@a@b")
    with pytest.raises(StepOrderError, match="try_resume"):
        _ = workflow.join_token
    await workflow.try_resume()
    await client.join(workflow.join_token).set("x", 1)
    assert await workflow.state.get("x") == 1


@pytest.mark.parametrize("token", ["", "x", "@x", "0@x", "-1@x", "x@1", "1@", "²@x", "99999999999999999999999@x", 1, None])
async def test_a_token_that_is_none(client: Client, token: Any) -> None:  # noqa: ANN401 - that is what it is about
    with pytest.raises(InvalidArgumentError, match="token"):
        client.join(token)
