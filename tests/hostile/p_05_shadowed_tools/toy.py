# case 5: tools of the same name in a submission are not the ones that grade
# outcome: all = passed
# never printed: SHADOWED
from honest import fetch, weigh
