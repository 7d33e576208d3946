# case 40: an import that takes most of the time leaves the rest to honest code
# outcome: all = passed
import time

from honest import fetch, weigh

time.sleep(0.8)
