"""The resource limits of a scenario's process, as it sets them itself."""

from __future__ import annotations

import subprocess
import sys

from archprep.sandbox.deadline import HARD_FACTOR

LIMITED = """
import resource
from archprep.worker import confine
confine.limit({"memory_mb": 2048, "processes": 64, "files_mb": 4, "seconds": 1.2})
print(resource.getrlimit(resource.RLIMIT_CPU)[0])
"""


def test_a_deadline_always_passes_before_the_processor_time_is_used_up():
    """Otherwise a time-out would be reported as a crash on a loaded machine."""
    done = subprocess.run(
        [sys.executable, "-c", LIMITED], capture_output=True, text=True, check=True
    )
    most_wall_seconds = 2 * HARD_FACTOR * 1.2  # for the import, and for the probe
    assert int(done.stdout) >= most_wall_seconds
