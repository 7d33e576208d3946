# case 10: an out-of-band byte announces data that never comes; the judge does not wait for it
# outcome: task 1 = candidate_error timeout
# within: 3.5 seconds
import socket
import time

from honest import fetch


def weigh(numbers):
    time.sleep(0.5)
    with socket.socket(fileno=3) as channel:
        channel.send(b"x", socket.MSG_OOB)
        time.sleep(60)
