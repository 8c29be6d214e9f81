"""Looking back through a log, for people: what happened, why, and what would have happened otherwise."""
