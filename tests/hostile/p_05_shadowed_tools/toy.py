# case 5: modules in a submission do not replace the tools that grade
# outcome: all = passed
# not printed: SHADOWED
from honest import fetch, weigh
