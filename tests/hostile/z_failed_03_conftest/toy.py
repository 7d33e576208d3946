# case 3: pytest's files in a submission forge nothing for wrong code
# outcome: task 1 = failed
from honest import fetch


def weigh(numbers):
    return 0
