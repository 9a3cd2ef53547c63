"""Users, their passwords and sessions, and the audit trail."""
