"""What the calls that look after a store take: whatever else is given is refused by the name of the argument."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from lastgood import Client, InvalidArgumentError, Retention

Call = Callable[[Client, Any], Awaitable[object]]


async def _export(client: Client, state_id: Any) -> list[str]:  # noqa: ANN401 - whatever somebody may give
    return [line async for line in client.export_state(state_id)]


WITH_ID: dict[str, Call] = {
    "set_retention": lambda client, wrong: client.set_retention(Retention(revisions=3), wrong),
    "get_retention": lambda client, wrong: client.get_retention(wrong),
    "compact": lambda client, wrong: client.compact(wrong),
    "export_state": _export,
    "import_state": lambda client, wrong: client.import_state(wrong, []),
}
WITH_TEXT: dict[str, tuple[str, Call]] = {
    "redact": ("text", lambda client, wrong: client.state("s").redact(wrong)),
    "redact with": ("replacement", lambda client, wrong: client.state("s").redact("what is to go", wrong)),
    "backup": ("path", lambda client, wrong: client.backup(wrong)),
}
WITH_TIMEOUT: dict[str, Call] = {
    "set_retention": lambda client, wrong: client.set_retention(None, timeout=wrong),
    "get_retention": lambda client, wrong: client.get_retention(timeout=wrong),
    "compact": lambda client, wrong: client.compact(timeout=wrong),
    "import_state": lambda client, wrong: client.import_state("s", [], timeout=wrong),
    "redact": lambda client, wrong: client.state("s").redact("what is to go", timeout=wrong),
    "backup": lambda client, wrong: client.backup("/nobody/has/this", timeout=wrong),
    "verify": lambda client, wrong: client.verify(timeout=wrong),
}
NO_TEXTS = ["", 5, b"x", "\ud800", ["a"]]


async def refused(client: Client, call: Call, wrong: object, field: str) -> None:
    with pytest.raises(InvalidArgumentError, match=field) as failure:
        await call(client, wrong)
    assert failure.value.field == field


@pytest.mark.parametrize("name", WITH_ID)
async def test_an_id_that_is_none(client: Client, name: str) -> None:
    for wrong in [*NO_TEXTS, "x" * 1025]:
        await refused(client, WITH_ID[name], wrong, "state_id")


@pytest.mark.parametrize("name", WITH_TEXT)
async def test_a_text_that_is_none(client: Client, name: str) -> None:
    field, call = WITH_TEXT[name]
    for wrong in [*NO_TEXTS, "x" * 70_000]:
        await refused(client, call, wrong, field)


@pytest.mark.parametrize("name", WITH_TIMEOUT)
async def test_a_time_that_is_none(client: Client, name: str) -> None:
    for wrong in (0, -1, "1", float("nan"), True):
        await refused(client, WITH_TIMEOUT[name], wrong, "timeout")
