# case 54: a candidate's modules named like the library's replace nothing
# outcome: all = passed
# never printed: SHADOWED
import json
import random
import typing

from honest import fetch, weigh

assert json.dumps and random.random and typing.Any
