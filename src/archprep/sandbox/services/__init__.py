"""Real servers and stacks that some exercises need, isolated like the rest."""
