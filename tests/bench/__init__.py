"""Measurements: how fast, how small, how steady. `make bench` prints one JSON object a line."""
