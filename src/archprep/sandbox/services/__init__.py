"""Real servers and stacks that some exercises need."""
