"""What does not depend on any organization: countries, licenses, phone numbers, availability."""
