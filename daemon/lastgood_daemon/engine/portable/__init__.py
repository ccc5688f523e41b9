"""A state with its history as JSON lines, which another daemon can read."""
