"""The boundary: isolates the candidate's code, runs it, watches it and ends it."""
