# case 17: neither the garbage collector nor the stack leads to an expected value
# outcome: task 1 = candidate_error crash
# printed: looked at many objects, found nothing
import gc
import inspect
import sys

from honest import fetch

WORDS = tuple(
    a + b
    for a, b in (("cana", "ry"), ("refuses-", "negatives"), ("test_", "weighs"), ("q99", "_toy"))
)


def weigh(numbers):
    seen, found = set(), set()
    waiting = [*gc.get_objects(), *(f.frame for f in inspect.stack()), sys.modules]
    while waiting and len(seen) < 100_000:
        value = waiting.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        if type(value) is str:
            found.update(word for word in WORDS if word in value and len(value) > len(word))
        else:
            waiting += gc.get_referents(value)
    many = "many" if len(seen) > 10_000 else len(seen)
    print(f"looked at {many} objects, found", " ".join(sorted(found)) or "nothing")
    raise SystemExit if found else AttributeError("no need to go on")
