# case 42: the total size of replies is limited, too
# exercise: q98
# outcome: task 1 = candidate_error output
# message: more than 8 MB in one scenario
import raw
from honest import make_app as honest


def make_app(vault=None, name=""):
    if vault or name:
        return honest(vault, name)
    raw.play(lambda link, *_: raw.answer(link, b"[" + b"[]," * 650_000 + b"0]"), lambda *_: 0)
