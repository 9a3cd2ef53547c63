"""How the service itself does: its health, for whoever sends it work, and more for administrators."""
