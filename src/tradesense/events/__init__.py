"""Live events: who may hear what, over a WebSocket or as server-sent events, and what is told after each write."""
