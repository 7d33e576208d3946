# case 40: an import that hangs is told once, not once for each server
# exercise: q98
# outcome: all = candidate_error import
# within: 9 seconds
import time

time.sleep(60)
