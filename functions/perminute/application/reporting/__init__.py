"""What reports read, and how it is put together."""
