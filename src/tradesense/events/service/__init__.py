"""What is told, to whom, and after what."""
