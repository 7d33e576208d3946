# case 32: threads count as processes
# outcome: task 1 = candidate_error timeout
# printed: started fewer than 16 threads
import threading
import time

from honest import fetch


def weigh(numbers):
    started = 0
    try:
        while True:
            threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
            started += 1
    except RuntimeError:
        print("started", "fewer than 16" if started < 16 else started, "threads", flush=True)
    time.sleep(60)
