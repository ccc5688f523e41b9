"""The daemon as a process: its folder, its configuration, its log, and how it starts and ends."""

import os

# What grpc itself says would stand between the lines of the log. It is read when grpc is first imported.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
