"""Trades as lists, one by one and as files, and the executions beneath them."""
