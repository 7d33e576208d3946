"""Submissions: finding out what candidates sent back, without trusting any of it."""
