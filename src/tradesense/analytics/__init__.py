"""Statistics of a user's trades: summary, equity, calendar, breakdowns, distribution, Monte Carlo."""
