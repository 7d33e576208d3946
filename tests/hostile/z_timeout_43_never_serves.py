# case 43: a server that never serves fails at the deadline of the first request
# exercise: q98
# outcome: task 1 = candidate_error timeout
# message: your app had not answered POST /sum after 5 s
# within: 10 seconds
import time

from honest import make_app as honest


def make_app(vault=None, name=""):
    if not (vault or name):
        time.sleep(60)
    return honest(vault, name)
