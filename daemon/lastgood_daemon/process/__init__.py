"""The daemon as a process: its folder, its configuration, its log, and how it starts and ends."""
