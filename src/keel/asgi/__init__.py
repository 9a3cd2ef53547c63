"""Middleware in pure ASGI."""
