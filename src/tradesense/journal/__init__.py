"""What a person writes: annotations of trades, tags, playbooks and the journal of days."""
