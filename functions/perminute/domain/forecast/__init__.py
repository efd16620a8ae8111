"""What an organization is expected to spend, and when its credit runs out (docs/domain.md §7)."""
