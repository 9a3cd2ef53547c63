"""Metrics: how much, how often and how long, for whoever collects such figures."""
