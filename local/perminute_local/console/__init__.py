"""The console: a page on this machine that shows what reports answer (docs/console.md)."""
