"""Paths as text."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lastgood_proto.paths import MAX_DEPTH, Path, format_path, parse_path

segments = st.text(min_size=1, max_size=5) | st.text("ab.\\0", min_size=1, max_size=5)


@given(st.lists(segments, max_size=6).map(tuple))
@example(())
@example((".",))
@example(("\\",))
@example(("\\.", ".\\"))
@example(("a.b", "c\\d"))
@example(("0", "00", "-1"))
@example(("\x00", "\n", " "))
def test_a_path_comes_back_from_its_text(path: Path) -> None:
    assert parse_path(format_path(path)) == path


@given(st.lists(segments, max_size=4).map(tuple), st.lists(segments, max_size=4).map(tuple))
def test_different_paths_have_different_texts(one: Path, other: Path) -> None:
    assert (format_path(one) == format_path(other)) == (one == other)


@given(st.text("ab.\\", max_size=8))
def test_a_text_is_refused_or_is_the_text_of_its_path(text: str) -> None:
    try:
        path = parse_path(text)
    except ValueError as refused:
        assert repr(text) in str(refused)  # noqa: PT017 - it may also be no error
    else:
        assert format_path(path) == text
        assert "" not in path


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("", ()),
        ("research.notes", ("research", "notes")),
        (r"a\.b.c\\d", ("a.b", "c\\d")),
        ("messages.0", ("messages", "0")),
        (r"\\.\.", ("\\", ".")),
        (r"a\\.b", ("a\\", "b")),
        ("größe.日本", ("größe", "日本")),
        (" . ", (" ", " ")),
        ("a/b:c*", ("a/b:c*",)),
    ],
)
def test_examples(text: str, path: Path) -> None:
    assert parse_path(text) == path
    assert format_path(path) == text


@pytest.mark.parametrize("text", [".", "a.", ".a", "a..b", "..", r"\..", r"a.\..", "a." + r"\\" + "."])
def test_empty_segments(text: str) -> None:
    with pytest.raises(ValueError, match="empty segment"):
        parse_path(text)


@pytest.mark.parametrize("text", ["\\", "a\\", r"a\b", r"a\ .b", r"\\\ ", "a.b\\", r"\é"])
def test_a_backslash_that_escapes_nothing(text: str) -> None:
    with pytest.raises(ValueError, match="a backslash escapes only"):
        parse_path(text)


@pytest.mark.parametrize("text", ["\ud800", "a.\udfff.b", "a\\.\ud83d"])
def test_what_is_no_unicode(text: str) -> None:
    with pytest.raises(ValueError, match="not valid Unicode"):
        parse_path(text)


def test_the_depth_is_bounded() -> None:
    assert len(parse_path(".".join("a" * MAX_DEPTH))) == MAX_DEPTH
    with pytest.raises(ValueError, match="129 segments; the limit is 128"):
        parse_path(".".join("a" * (MAX_DEPTH + 1)))
    assert len(parse_path("\\." * 500)) == 1
