"""Spans: what was done for a request, and how long each part of it took."""
