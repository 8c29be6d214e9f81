"""The whole farm in one process, under faults, in virtual time: see README.md."""
