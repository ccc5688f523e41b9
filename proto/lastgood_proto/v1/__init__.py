"""Version 1 of the protocol, ``lastgood.v1`` on the wire."""
