"""What the monitoring endpoints give."""
