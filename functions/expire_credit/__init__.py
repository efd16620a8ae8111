"""Time takes its toll of prepaid credit."""
