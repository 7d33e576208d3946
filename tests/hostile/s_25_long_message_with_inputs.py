# case 25: a message of 10 MB with inputs and control characters is truncated and sanitized
# outcome: task 1 = candidate_error crash
# message: RuntimeError: numbers [
from honest import fetch


def weigh(numbers):
    raise RuntimeError(
        f"numbers {numbers} \x1b[2J\x9b1m\u202e\ud800\r" + "x\x1b]0;t\x07" * 1_500_000
    )
