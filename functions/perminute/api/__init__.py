"""The charging API: what bridges and admins ask over HTTP, or by invoking the function."""
