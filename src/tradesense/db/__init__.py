"""SQL: the engine, the tables and their migrations, on SQLite and PostgreSQL alike."""
