"""Imports in SQL: the queue, where executions belong, the rows of a coming generation."""
