# case 34: binary output within the limit is shown as harmless text
# outcome: task 1 = failed
# printed: before
# printed: after
import os
import sys

from honest import fetch


def weigh(numbers):
    sys.stdout.write("before ")
    sys.stdout.flush()
    os.write(1, bytes(range(32)) + b"\x1b[2J\x1b]0;title\x07\x9b31m\xff\xfe\xe2\x80\xae")
    os.write(1, b"after")
    return 0
