"""Organizations with waiting re-ratings are queued."""
