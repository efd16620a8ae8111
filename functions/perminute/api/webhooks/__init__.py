"""Call records that other systems post when a call has ended."""
