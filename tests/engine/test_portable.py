"""Stored values as JSON: exactly the same bytes come back."""

import pytest

from lastgood_daemon.engine.portable.value import stored_document, stored_of, value_document, value_of
from lastgood_daemon.engine.stored_value import digest_of, in_place_of
from lastgood_proto.jsonform import NotAValueError
from lastgood_proto.values import encode

DIGEST = digest_of(encode("a secret"))


@pytest.mark.parametrize("number", ["7ff8000000000000", "fff8000000000000", "7ff8000000000123", "8000000000000000"])
def test_every_float_keeps_its_bits(number: str) -> None:
    for encoded in (b"\xcb" + bytes.fromhex(number), b"\x91\xcb" + bytes.fromhex(number)):
        assert value_of(value_document(encoded)) == encoded


def test_a_value_that_was_taken_out_of_the_log() -> None:
    stored = in_place_of(encode("a secret"), encode({"$redacted": 1}))
    document = stored_document(stored)
    digest = digest_of(encode("a secret"))
    assert document == {"$redacted": {"digest": digest.hex(), "value": {"$map": {"$redacted": 1}}}}
    assert stored_of(document) == stored
    assert stored_of(stored_document(encode("plain"))) == encode("plain")
    with pytest.raises(NotAValueError, match="only in the changes of a revision"):
        value_of(document)


def test_a_redacted_value_that_is_damaged_is_not_exported() -> None:
    stored = in_place_of(encode("a secret"), encode("gone"))
    with pytest.raises(ValueError, match="checksum"):
        stored_document(stored[:-1] + b"x")


@pytest.mark.parametrize("looks", [{"$msgpack": "AA=="}, {"$redacted": {}}, {"$map": {"$msgpack": 1}}, {"$bytes": None}])
def test_maps_that_look_like_one(looks: object) -> None:
    assert value_of(value_document(encode(looks))) == encode(looks)


@pytest.mark.parametrize(
    "document",
    [
        {"$msgpack": "wQ=="},
        {"$msgpack": 1},
        {"$msgpack": "AAA="},
        {"$redacted": {"digest": "00", "value": 1}},
        {"$redacted": {"digest": DIGEST.hex()}},
        {"$redacted": {"digest": DIGEST.hex(), "value": 1, "more": 1}},
        {"$redacted": 5},
        {"$redacted": {"digest": DIGEST.hex(), "value": {"$redacted": {"digest": DIGEST.hex(), "value": 1}}}},
        {"$redacted": {"digest": f"{DIGEST.hex()}00", "value": 1}},
        {"$redacted": {"digest": "z" * 32, "value": 1}},
        {"$redacted": {"digest": 5, "value": 1}},
        {"$redacted": {"digest": DIGEST.hex(), "value": 2**64}},
        {"": 1},
        [2**64],
        "\ud800",
    ],
)
def test_what_is_none(document: object) -> None:
    with pytest.raises(NotAValueError):
        stored_of(document)
