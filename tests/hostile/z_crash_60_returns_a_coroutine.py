# case 60: a coroutine is not plain data, and the reason says so
# outcome: task 1 = candidate_error crash
# message: coroutine
from honest import fetch


async def weigh(numbers):
    return sum(n * n for n in numbers)
