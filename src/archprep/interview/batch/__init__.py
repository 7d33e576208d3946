"""Grading submissions in parallel, and grading kept ones again."""
