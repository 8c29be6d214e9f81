"""Logs that were written once and must read the same for ever; see `scenarios.py` for how to add one."""
