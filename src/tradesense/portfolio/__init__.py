"""The portfolio at a glance: how it stands, what happened today, and what is open."""
