"""Redis and Valkey: one multiplexed connection per server, its breaker, its pushes and its scripts."""
