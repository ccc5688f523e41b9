"""The edge: check, call, translate; nothing else.

``requests`` and ``responses`` translate between the contract and the engine; ``state``, ``history``, ``checkpoints`` and
``server_info`` hold one short function for each operation, which says what to ask or to do; ``dispatch`` is the one road
that every operation takes, past ``authorize``, whether it came on a session (``session``) or as a unary call (``unary``).
"""
