"""Account, ledger and calls are compared with each other."""
