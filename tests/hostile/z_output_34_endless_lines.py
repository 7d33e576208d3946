# case 34: output beyond the limit ends the scenario, not the judge
# outcome: task 1 = candidate_error output
import os
import sys

from honest import fetch


def weigh(numbers):
    while True:
        print("All passed")
