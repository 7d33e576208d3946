# case 3: pytest's files in a submission do not affect honest code
# outcome: all = passed
from honest import fetch, weigh
