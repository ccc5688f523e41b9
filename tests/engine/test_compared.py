"""What takes long is asked for, and done once."""

import random

import pytest

from lastgood_daemon.engine.change import Patch
from lastgood_daemon.engine.edits import Append, Evaluation, Merge, Set, evaluate
from lastgood_daemon.engine.labour import LabourError, working
from lastgood_daemon.engine.tree import EMPTY_TREE, Tree
from lastgood_proto.values import encode

MESSAGES = [{"role": "user", "content": random.Random(number).randbytes(40).hex()} for number in range(2_000)]
MORE = encode([*MESSAGES, {"role": "user", "content": "one more"}])


def tree() -> Tree:
    return EMPTY_TREE.apply(evaluate(EMPTY_TREE, Set(("messages",), encode(MESSAGES))).changes, 1)


def evaluated(before: Tree, edit: Set | Merge) -> tuple[Evaluation, int]:
    """Evaluate an edit as an event loop has it done, and count how often work was asked for."""
    asked = 0
    while asked < 10:
        try:
            return evaluate(before, edit), asked
        except LabourError as labour:
            labour.work()
            asked += 1
    pytest.fail("it asks for work again and again")


@pytest.mark.parametrize("edit", [Set(("messages",), MORE), Merge((), encode({"messages": [*MESSAGES, "more"]}))])
def test_a_comparison_of_large_values_is_asked_for_and_then_at_hand(edit: Set | Merge) -> None:
    evaluation, asked = evaluated(tree(), edit)
    assert 1 <= asked <= 3
    (change,) = evaluation.changes
    assert isinstance(change, Patch)
    assert len(encode([len(change.changes)])) < 100


def test_it_is_about_the_value_that_was_there() -> None:
    edit = Set(("messages",), MORE)
    before = tree()
    evaluated(before, edit)
    grown = before.apply(working(lambda: evaluate(before, Append(("messages",), (encode("from others"),)))).changes, 2)
    evaluation, asked = evaluated(grown, edit)
    assert asked >= 1
    after = working(lambda: grown.apply(evaluation.changes, 3))
    node = after.find(("messages",))
    assert node is not None
    assert node.encoded() == MORE


def test_what_is_small_is_compared_at_once() -> None:
    small = EMPTY_TREE.apply(evaluate(EMPTY_TREE, Set(("l",), encode(list(range(500))))).changes, 1)
    assert evaluate(small, Set(("l",), encode(list(range(501))))).changes
