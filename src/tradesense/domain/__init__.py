"""The pure core: executions, matching, trades and statistics; no I/O, nothing but the standard library and numpy."""
