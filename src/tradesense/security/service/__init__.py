"""Who may come in: users and their passwords, logins and their sessions, each change with its line of audit."""
