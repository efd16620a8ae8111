"""License advice (which subscriptions cost an organization least), and what-if."""
