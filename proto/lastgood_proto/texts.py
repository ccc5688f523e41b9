"""How long a text may be that is stored with a write. The one place that says so, for client and daemon.

    a name      an id, a label, a key, an agent, a holder, the type of a failure     1 KiB
    a path      all of its segments, with the dots between them                      16 KiB
    a message   what a failure said                                                  64 KiB
    metadata    a map that is kept beside a snapshot or a checkpoint                 1 MiB

All are bytes of UTF-8, or of MessagePack. Names inside a value are part of that value, and bounded with it.
"""

MAX_NAME_BYTES = 1024
MAX_PATH_BYTES = 16 * 1024
MAX_MESSAGE_BYTES = 64 * 1024
MAX_METADATA_BYTES = 1024 * 1024


_SHORT = 80


def cut(text: str, limit: int = MAX_NAME_BYTES) -> str:
    """Return a text, without its end if it is longer than may be."""
    encoded = text.encode(errors="backslashreplace")
    return text if len(encoded) <= limit else encoded[: limit - 3].decode(errors="ignore") + "…"


def shortened(text: str) -> str:
    """Return a text as an error quotes it: not all of it, if it is long."""
    return repr(text) if len(text) <= _SHORT else f"{text[:_SHORT]!r}…"


def problem_with(text: str, limit: int = MAX_NAME_BYTES) -> str:
    """Return what is wrong with a text that is to be stored; "" means nothing is."""
    if text.isascii():
        size = len(text)
    else:
        try:
            size = len(text.encode())
        except UnicodeEncodeError as error:
            return f"is not valid Unicode: {error.reason}"
    return f"has {size} bytes; the limit is {limit}" if size > limit else ""


def problem_with_token(token: str) -> str:
    """Return what is wrong with a token; "" means nothing is. It travels in a header of HTTP, which carries no others."""
    if not token:
        return "is empty"
    if token != token.strip() or not all(" " <= character <= "~" for character in token):
        return "must be of visible characters of ASCII, without a blank at either end"
    return f"has {len(token)} bytes; the limit is {MAX_TOKEN_BYTES}" if len(token) > MAX_TOKEN_BYTES else ""


MAX_TOKEN_BYTES = 4 * 1024
"""gRPC refuses calls whose headers are much longer."""
