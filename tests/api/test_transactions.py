"""api.md, SharedState: transaction and transact."""

import asyncio

import pytest
from tests.api.verbs import CONTENT

from lastgood import (
    Client,
    InvalidArgumentError,
    InvalidValueError,
    PathError,
    RevisionConflictError,
    SharedState,
    Transaction,
)


async def test_all_of_it_is_one_revision(state: SharedState) -> None:
    await state.set("", CONTENT)
    async with state.transaction() as tx:
        tx.set("text", "new")
        tx.update({"a.b": 1, "a.c": 2})
        tx.merge({"map": {"y": 2}})
        tx.append("list", "b", "c")
        tx.increment("number", 5)
        tx.delete("map.x")
        assert await state.revision() == 1
        assert await state.to_dict() == CONTENT
    assert await state.to_dict() == {
        "text": "new",
        "number": 6,
        "list": ["a", "b", "c"],
        "map": {"y": 2},
        "a": {"b": 1, "c": 2},
    }
    assert await state.revision() == 2
    assert [entry.revision for entry in await state.get_history()] == [1, 2]


async def test_the_buffering_calls_are_plain_and_return_none(state: SharedState) -> None:
    async with state.transaction() as tx:
        results: list[object] = [
            tx.set("a", 1),  # type: ignore[func-returns-value]
            tx.update({"b": 1}),  # type: ignore[func-returns-value]
            tx.merge({"c": {}}),  # type: ignore[func-returns-value]
            tx.append("d", 1),  # type: ignore[func-returns-value]
            tx.increment("e"),  # type: ignore[func-returns-value]
            tx.delete("a"),  # type: ignore[func-returns-value]
        ]
    assert results == [None] * 6
    assert await state.to_dict() == {"b": 1, "c": {}, "d": [1], "e": 1}


async def test_reads_see_its_own_buffered_writes(state: SharedState) -> None:
    await state.set("", CONTENT)
    async with state.transaction() as tx:
        tx.set("text", "new")
        tx.append("list", "b")
        tx.increment("number")
        tx.delete("map")
        assert await tx.get("text") == "new"
        assert await tx.get("list") == ["a", "b"]
        assert await tx.get("list.1") == "b"
        assert await tx.get("number") == 2
        assert await tx.get("map", "default") == "default"
        assert not await tx.exists("map")
        assert await tx.get() == {"text": "new", "number": 2, "list": ["a", "b"]}
        tx.set("list", await tx.get("list") * 2)
    assert await state.to_dict() == {"text": "new", "number": 2, "list": ["a", "b", "a", "b"]}


async def test_an_exception_writes_nothing_and_goes_on(state: SharedState) -> None:
    await state.set("a", 1)
    with pytest.raises(KeyError, match="mine"):  # noqa: PT012 - what a block does
        async with state.transaction() as tx:
            tx.set("a", 2)
            raise KeyError("mine")  # noqa: EM101
    assert await state.to_dict() == {"a": 1}
    assert await state.revision() == 1


async def test_what_cannot_be_done_undoes_all_of_it(state: SharedState) -> None:
    await state.set("a", "text")
    with pytest.raises(PathError):  # noqa: PT012 - what a block does
        async with state.transaction() as tx:
            tx.set("b", 1)
            tx.set("a.below", 2)
    assert await state.to_dict() == {"a": "text"}
    async with state.transaction() as tx:
        with pytest.raises(InvalidValueError):
            tx.set("x", {1})
        with pytest.raises(PathError):
            tx.set("x..y", 1)
        tx.set("c", 1)
    assert await state.to_dict() == {"a": "text", "c": 1}


@pytest.mark.parametrize(
    ("read", "change", "conflicts"),
    [
        ("a", "a", True),
        ("a.b", "a", True),
        ("a", "a.b", True),
        ("", "other", True),
        ("missing", "missing", True),
        ("missing.b", "missing", True),
        ("missing.other", "missing", False),
        ("a", "other", False),
        ("a.b", "a.c", False),
    ],
)
async def test_a_change_of_what_it_has_read_is_a_conflict(
    state: SharedState, second_client: Client, read: str, change: str, *, conflicts: bool
) -> None:
    await state.set("", {"a": {"b": 1, "c": 1}, "other": 1})
    tx = state.transaction()
    await tx.__aenter__()
    await tx.get(read)
    tx.set("result", 1)
    await second_client.state(state.state_id).set(change, {"b": "changed"})
    if conflicts:
        with pytest.raises(RevisionConflictError) as caught:
            await tx.__aexit__(None, None, None)
        assert (caught.value.path, caught.value.expected, caught.value.actual) == (read, 1, 2)
        assert not await state.exists("result")
        assert await state.revision() == 2
    else:
        await tx.__aexit__(None, None, None)
        assert await state.get("result") == 1


@pytest.mark.parametrize("how", ["get", "read", "exists"])
async def test_every_kind_of_read_counts(state: SharedState, how: str) -> None:
    with pytest.raises(RevisionConflictError):  # noqa: PT012 - what a block does
        async with state.transaction() as tx:
            await getattr(tx, how)("a")
            await state.set("a", 1)
            tx.set("b", 1)
    assert await state.to_dict() == {"a": 1}


async def test_a_conflict_is_with_the_first_of_two_reads(state: SharedState) -> None:
    await state.set("a", 1)
    with pytest.raises(RevisionConflictError):  # noqa: PT012 - what a block does
        async with state.transaction() as tx:
            first = await tx.get("a")
            await state.set("a", 2)
            tx.set("sum", first + await tx.get("a"))
    assert await state.to_dict() == {"a": 2}


async def test_a_change_behind_its_own_write_is_a_conflict_too(state: SharedState) -> None:
    """What it read was made of its own increment and of what somebody else has changed since."""
    await state.set("n", 1)
    with pytest.raises(RevisionConflictError):  # noqa: PT012 - what a block does
        async with state.transaction() as tx:
            tx.increment("n")
            tx.set("copy", await tx.get("n"))
            await state.set("n", 10)
    assert await state.to_dict() == {"n": 10}


async def test_blind_writes_never_conflict(state: SharedState) -> None:
    await state.set("n", 1)
    async with state.transaction() as tx:
        tx.increment("n")
        tx.set("a", 1)
        await state.set("n", 10)
        await state.set("a", 5)
    assert await state.to_dict() == {"n": 11, "a": 1}


async def test_reading_only_writes_nothing(state: SharedState) -> None:
    await state.set("a", 1)
    async with state.transaction() as tx:
        assert await tx.get("a") == 1
    assert await state.revision() == 1


async def test_it_is_used_once_and_within_its_block(state: SharedState) -> None:
    async with state.transaction() as tx:
        tx.set("a", 1)
    assert tx.revision == 1
    with pytest.raises(InvalidArgumentError):
        tx.set("a", 2)
    with pytest.raises(InvalidArgumentError):
        await tx.get("a")
    with pytest.raises(InvalidArgumentError):
        async with tx:
            pass


# transact


async def test_transact_gives_what_the_function_returns(state: SharedState) -> None:
    async def take(tx: Transaction) -> str:
        queue = await tx.get("queue")
        tx.set("queue", queue[1:])
        return str(queue[0])

    await state.set("queue", ["a", "b"])
    assert await state.transact(take) == "a"
    assert await state.transact(take) == "b"
    assert await state.get("queue") == []
    assert await state.revision() == 3


async def test_transact_runs_again_on_a_conflict(state: SharedState) -> None:
    runs = 0

    async def double(tx: Transaction) -> int:
        nonlocal runs
        runs += 1
        number: int = await tx.get("n")
        if runs < 3:
            await state.increment("n")
        tx.set("n", number * 2)
        return number

    await state.set("n", 1)
    assert await state.transact(double) == 3
    assert runs == 3
    assert await state.get("n") == 6


async def test_transact_of_many_clients_loses_nothing(client: Client, second_client: Client, state_id: str) -> None:
    async def add(tx: Transaction) -> None:
        number = await tx.get("n", 0)
        tx.set("n", number + 1)
        tx.append("log", number)

    handles = [each.state(state_id) for each in (client, second_client)]
    await asyncio.gather(*(handles[number % 2].transact(add) for number in range(16)))
    assert await handles[0].to_dict() == {"n": 16, "log": list(range(16))}
    assert await handles[0].revision() == 16


async def test_transact_does_not_hide_other_errors(state: SharedState) -> None:
    runs = 0

    async def fail(tx: Transaction) -> None:
        nonlocal runs
        runs += 1
        tx.set("a", 1)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await state.transact(fail)
    assert runs == 1
    assert await state.revision() == 0
