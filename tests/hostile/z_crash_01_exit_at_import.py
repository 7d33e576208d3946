# case 1: exit status 0 never means pass
# outcome: all = candidate_error crash
import os

os._exit(0)
