"""What statistics are asked for: read in one snapshot, worked out in a thread."""
