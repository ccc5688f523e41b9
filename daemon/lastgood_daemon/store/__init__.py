"""Durable storage: what the daemon asks of it (``protocol``), and SQLite behind that (``sqlite``)."""
