# case 11: patching the worker's own tools changes its claims, not the facts
# outcome: weighs = failed
# outcome: refuses-negatives = failed
# outcome: fetches = failed
import builtins
import json
import os

from honest import fetch

encode = json.JSONEncoder.encode


def favourable(self, message):
    if "result" in message:
        message["result"] = [1 for _ in message["result"]]
    return encode(self, message)


json.JSONEncoder.encode = favourable
json.dumps = lambda *_args, **_options: '{"result": 1}'
builtins.sorted = lambda values, **options: list(values)
os.write = lambda descriptor, data: len(data)


def weigh(numbers):
    return 1
