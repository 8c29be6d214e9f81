"""What each kind of fact does to State; called by `events.fold` alone."""
