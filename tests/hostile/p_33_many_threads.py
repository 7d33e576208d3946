# case 33: threads do not reserve memory that honest code needs
# outcome: all = passed
import threading

from honest import fetch
from honest import weigh as honest

over = threading.Event()


def work():
    kept = [bytearray(100) for _ in range(1000)]
    over.wait()


def weigh(numbers):
    if not over.is_set():
        threads = [threading.Thread(target=work) for _ in range(6)]
        for thread in threads:
            thread.start()
        kept = bytearray(60 << 20)
        over.set()
        for thread in threads:
            thread.join()
    return honest(numbers)
