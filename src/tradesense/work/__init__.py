"""Background work: a queue in SQL, who is woken for it, and what is done again and again."""
