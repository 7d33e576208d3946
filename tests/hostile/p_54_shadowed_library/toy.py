# case 54: the candidate's modules do not replace those of libraries with the same name
# outcome: all = passed
# not printed: SHADOWED
import json
import random
import typing

from honest import fetch, weigh

assert json.dumps and random.random and typing.Any
