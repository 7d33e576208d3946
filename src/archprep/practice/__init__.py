"""The candidate's commands: start, check, watch, run, hint, solution, progress, tour, doctor."""
