"""What every slice's HTTP stands on: problems, paging, preconditions, idempotency, authentication, OpenAPI."""
