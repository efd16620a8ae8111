"""What admins are notified of, and when."""
