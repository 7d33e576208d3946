# case 4: pytest's settings in a submission do not affect honest code
# outcome: all = passed
from honest import fetch, weigh
