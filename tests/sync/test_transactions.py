"""Transactions, blocking: ``with``, and ``transact`` of a plain function."""

import pytest

from lastgood.sync import InvalidArgumentError, RevisionConflictError, SharedState, Transaction


def test_all_of_it_is_one_revision_and_reads_see_what_is_buffered(state: SharedState) -> None:
    state.set("a", 1)
    with state.transaction() as tx:
        assert isinstance(tx, Transaction)
        assert tx.get("a") == 1
        assert tx.set("a", 2) is None  # type: ignore[func-returns-value]
        tx.append("log", "x")
        tx.increment("n")
        tx.update({"b": 1, "c": 2})
        tx.merge({"d": {"e": 1}})
        tx.delete("c")
        assert (tx.get("a"), tx.exists("c"), tx.read("log").value) == (2, False, ["x"])
        assert state.get("a") == 1
    assert tx.revision == 2
    assert state.to_dict() == {"a": 2, "log": ["x"], "n": 1, "b": 1, "d": {"e": 1}}


def test_an_exception_writes_nothing(state: SharedState) -> None:
    def fail(tx: Transaction) -> None:
        with tx:
            tx.set("a", 1)
            raise ZeroDivisionError

    tx = state.transaction()
    with pytest.raises(ZeroDivisionError):
        fail(tx)
    assert state.revision() == 0
    with pytest.raises(InvalidArgumentError, match="within its 'with'"):
        tx.set("a", 1)


def test_a_conflict(state: SharedState) -> None:
    state.set("a", 1)

    def rewrite() -> None:
        with state.transaction() as tx:
            tx.set("b", tx.get("a"))
            state.set("a", 2)

    with pytest.raises(RevisionConflictError):
        rewrite()
    assert state.to_dict() == {"a": 2}


def test_transact_runs_a_plain_function_again_on_a_conflict(state: SharedState) -> None:
    seen: list[int] = []

    def double(tx: Transaction) -> str:
        value = tx.get("a", 1)
        seen.append(value)
        if len(seen) == 1:
            state.set("a", 5)
        tx.set("a", 2 * value)
        return "done"

    assert state.transact(double) == "done"
    assert seen == [1, 5]
    assert state.get("a") == 10


def test_transact_passes_an_exception_on(state: SharedState) -> None:
    def fail(tx: Transaction) -> None:
        tx.set("a", 1)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        state.transact(fail)
    assert state.revision() == 0
