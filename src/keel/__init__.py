"""The ground that an async service stands on; it knows nothing of trading."""
