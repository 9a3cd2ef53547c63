"""What importing does: files are kept and read, executions staged, books rebuilt, and all of it published at once."""
