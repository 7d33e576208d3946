# case 24: inputs that are printed are shown, and drawn anew the next time
# outcome: task 1 = failed
# printed: numbers [
from honest import fetch


def weigh(numbers):
    print("numbers", numbers)
    return 0
