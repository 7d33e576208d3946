# case 40: an import that takes most of its time leaves enough for honest code
# outcome: all = passed
import time

from honest import fetch, weigh

time.sleep(0.8)
