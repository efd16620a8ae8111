"""Events that come in (docs/events.md): a module for each source, so that start-up stays fast."""
