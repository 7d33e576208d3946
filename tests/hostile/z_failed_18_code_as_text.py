# case 18: pickled, marshalled or YAML code in a string is just a string
# outcome: task 1 = failed
import marshal
import pickle

from honest import fetch

BOMBS = [
    pickle.dumps(range, 0).decode("latin-1").replace("builtins\nrange", "os\ngetpid"),
    "cos\nsystem\n(S'touch unpickled'\ntR.",
    marshal.dumps(compile("open('unmarshalled', 'w')", "x", "exec")).decode("latin-1"),
    "!!python/object/apply:os.system ['touch loaded']",
    "__import__('os').system('touch evaluated')",
    "{{ ''.__class__.__mro__ }} {0.__class__} %(x)s",
]
given = []


def weigh(numbers):
    given.append(1)
    return BOMBS[len(given) % len(BOMBS)]
