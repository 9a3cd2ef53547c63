"""Health: what the service stands on, asked in time, and whether it should be sent work."""
