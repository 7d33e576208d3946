# case 60: a missing function is named
# outcome: task 1 = candidate_error crash
# message: weigh
from honest import fetch
