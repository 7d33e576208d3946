# case 3: pytest's files in a submission change nothing for honest code
# outcome: all = passed
from honest import fetch, weigh
