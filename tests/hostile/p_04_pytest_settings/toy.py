# case 4: settings of pytest in a submission change nothing for honest code
# outcome: all = passed
from honest import fetch, weigh
