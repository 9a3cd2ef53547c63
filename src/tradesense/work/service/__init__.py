"""The queue, who runs what it has, and when."""
