"""What is known late reaches the calls that it concerns."""
