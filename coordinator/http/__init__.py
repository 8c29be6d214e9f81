"""The ways in: one thin facade per dialect, each decode → submit or view → encode."""
