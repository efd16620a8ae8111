"""What waits to be looked at again wakes who does it."""
