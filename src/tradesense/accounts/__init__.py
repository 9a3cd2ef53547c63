"""Accounts at brokers: where trading happens, in which currency, and how its fills are matched."""
