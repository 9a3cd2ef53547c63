"""Locks between processes: leases with a time to live and a fencing token."""
