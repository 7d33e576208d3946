# case 44: a connection that is reset in the middle of a reply
# exercise: q98
# outcome: task 1 = candidate_error protocol
import raw
from honest import make_app as honest


def make_app(vault=None, name=""):
    if vault or name:
        return honest(vault, name)
    listener = raw.listeners()[0]
    while True:
        link, _ = listener.accept()
        link.sendall(raw.OK + b"Content-Length: 1\r\n\r\n")
        link.close()  # with the request unread: the other side gets ECONNRESET
