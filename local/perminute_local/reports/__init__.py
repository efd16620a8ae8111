"""Reports of a deployed stack as tables, CSV, pages and JSON: a module for each report."""
