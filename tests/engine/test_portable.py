"""Stored values as JSON: exactly the same bytes come back."""

from hashlib import blake2b

import pytest

from lastgood_daemon.engine.portable.value import value_document, value_of
from lastgood_proto.jsonform import NotAValueError
from lastgood_proto.values import encode

DIGEST = blake2b(b"a secret", digest_size=16).digest()


@pytest.mark.parametrize("number", ["7ff8000000000000", "fff8000000000000", "7ff8000000000123", "8000000000000000"])
def test_every_float_keeps_its_bits(number: str) -> None:
    for encoded in (b"\xcb" + bytes.fromhex(number), b"\x91\xcb" + bytes.fromhex(number)):
        assert value_of(value_document(encoded)) == encoded


def test_a_value_that_was_taken_out_of_the_log() -> None:
    encoded = b"\xc1" + DIGEST + encode({"$redacted": 1})
    document = value_document(encoded)
    assert document == {"$redacted": {"digest": DIGEST.hex(), "value": {"$map": {"$redacted": 1}}}}
    assert value_of(document) == encoded


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
        {"": 1},
        [2**64],
        "\ud800",
    ],
)
def test_what_is_none(document: object) -> None:
    with pytest.raises(NotAValueError):
        value_of(document)
