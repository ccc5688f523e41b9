"""What gRPC says of a connection that did not come about because something else answered, in words that say what to do."""

_STRANGER = "what answers there is not a lastgood daemon: check the address"
_NO_TLS = "no TLS connection came about: if the daemon has no certificate, connect without tls= and LASTGOOD_TLS"
_MEANINGS = {
    "CERTIFICATE_VERIFY_FAILED": (
        "the certificate of the daemon is not trusted here: connect with tls=CERTIFICATE, or LASTGOOD_TLS=CERTIFICATE"
    ),
    "WRONG_VERSION_NUMBER": _NO_TLS,
    "Ssl handshake failed": _NO_TLS,
    "SSL_ERROR": _NO_TLS,
    "Failed parsing HTTP/2": _STRANGER,
    "Expected SETTINGS frame": _STRANGER,
}
_CLOSED = ("Socket closed", "Connection reset by peer", "recvmsg:", "Broken pipe", "closed by the peer")
_MAY_WANT_TLS = (
    "the connection was closed at once: if the daemon has a certificate, connect with tls=True or tls=CERTIFICATE, "
    "or set LASTGOOD_TLS to 1 or CERTIFICATE"
)


def meaning(details: str, *, in_clear: bool) -> str | None:
    """Return what it means that a connection did not come about; None where that is not known.

    Args:
        details: what gRPC says.
        in_clear: whether the connection was to a port and without TLS.
    """
    for sign, words in _MEANINGS.items():
        if sign in details:
            return words
    return _MAY_WANT_TLS if in_clear and any(sign in details for sign in _CLOSED) else None
