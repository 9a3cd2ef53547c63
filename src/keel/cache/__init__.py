"""A cache in two tiers, memory over Redis, that is never stale: leases, tag versions, coherent memory."""
