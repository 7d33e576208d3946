# case 24: printed inputs are shown, and drawn again the next time
# outcome: task 1 = failed
# printed: numbers [
from honest import fetch


def weigh(numbers):
    print("numbers", numbers)
    return 0
