"""Logs: lines of JSON, written by a thread, with nothing secret in them."""
