"""What every package shares: the values, the errors, the cleaning of untrusted text."""
