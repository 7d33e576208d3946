# case 3: pytest's files in a submission cannot make wrong code pass
# outcome: task 1 = failed
from honest import fetch


def weigh(numbers):
    return 0
