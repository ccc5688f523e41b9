"""What writing and reading the lines have in common."""

from hashlib import blake2b

from lastgood_proto.jsonform import text_of

FORMAT = 1
"""Of the lines; the first one says it."""


def digest_after(digest: str, document: object) -> str:
    """Give the digest of the lines that the chain does not cover, up to one of them."""
    return blake2b((digest + text_of(document)).encode(), digest_size=16).hexdigest()
