"""The files beside this one misbehave on purpose; they are graded, never collected."""

collect_ignore_glob = ["_exercise/*", "z_*", "p_*", "s_*"]
