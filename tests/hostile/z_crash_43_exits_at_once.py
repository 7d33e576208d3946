# case 43: no connection waits for a server that is gone
# exercise: q98
# outcome: all = candidate_error crash
# told: exit status 0
# within: 4 seconds
import os


def make_app(vault=None, name=""):
    os._exit(0)
