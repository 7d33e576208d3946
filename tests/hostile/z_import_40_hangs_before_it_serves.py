# case 40: an import that hangs is reported once, not once per server
# exercise: q98
# outcome: all = candidate_error import
# within: 9 seconds
import time

time.sleep(60)
