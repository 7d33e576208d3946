"""Kits: what candidates get, and how they start the clock and submit."""
