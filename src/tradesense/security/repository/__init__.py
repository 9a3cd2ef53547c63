"""What security keeps in SQL: users, their sessions, and the audit trail."""
