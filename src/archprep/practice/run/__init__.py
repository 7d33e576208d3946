"""`archprep run`: an exercise run for real, outside the sandbox, until Ctrl-C."""
