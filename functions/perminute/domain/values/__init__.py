"""Values that all rules share: amounts, instants, ids, and texts that are safe to show."""
