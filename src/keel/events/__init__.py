"""Live events: messages by channel, in order, to be resumed where a subscriber left off."""
