# case 60: a coroutine is no plain value, and the reason says so
# outcome: task 1 = candidate_error crash
# told: coroutine
from honest import fetch


async def weigh(numbers):
    return sum(n * n for n in numbers)
