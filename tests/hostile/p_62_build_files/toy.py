# case 62: files that tools run when they build or install are never run
# outcome: all = passed
from honest import fetch, weigh
