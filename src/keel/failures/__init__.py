"""Failures: what went wrong, each kind of it once, with how often, since when, where and to how many."""
