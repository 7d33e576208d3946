"""`archprep run`: runs an exercise's service or DAG outside the sandbox, until Ctrl-C."""
