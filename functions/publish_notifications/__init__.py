"""What was committed is told."""
