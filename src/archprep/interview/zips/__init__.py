"""Zip archives: reading ones from anyone, writing reproducible ones."""
