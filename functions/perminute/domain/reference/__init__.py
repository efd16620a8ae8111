"""Facts about the world: countries, currencies, licenses, phone numbers."""
