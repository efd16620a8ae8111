"""What a call costs: the call, the rate card, and the usage that is recorded of it."""
