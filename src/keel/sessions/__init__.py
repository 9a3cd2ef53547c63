"""Login sessions: opaque tokens of which only a hash is kept."""
