"""The one cleaning function for text that a candidate's code produced.

Such text is printed to terminals and put into HTML, JSON and logs, so nothing that moves a
cursor, hides characters or reverses their order may survive. Escaping for HTML is the sink's duty.
"""

from __future__ import annotations

import re

# Whole escape sequences go first, so that no "[2J" or window title stays behind as litter. Each
# pattern stops at the next control character: an unterminated one hides nothing after it, and
# hostile input costs linear time.
_SEQUENCE = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*+[ -/]*+[@-~]"  # CSI: colours, cursor
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x00-\x1f\x7f-\x9f]*+(?:\x07|\x1b\\|\x9c)"  # OSC, DCS
    r"|\x1b[ -/]*+[0-Z\\^-~]"  # two-character ones: reset, character sets
)
# C0 and C1 but for tab and newline, the Unicode category Cf (bidi, zero width, tags), line and
# paragraph separators, and characters that are drawn as nothing.
_INVISIBLE = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u034f\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2"
    r"\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164"
    r"\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U000110bd\U000110cd\U00013430-\U0001343f"
    r"\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]+"
)
_SURROGATE = re.compile("[\ud800-\udfff]")


def sanitize(text: str | bytes, limit: int = 2000) -> str:
    """Make `text` harmless to show; what exceeds `limit` is cut as by `shortened`."""
    if isinstance(text, bytes):
        text = text.decode("utf-8", errors="replace")
    # A lone CR would overwrite its own line ("FAIL\rPASS"): it becomes a line break.
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    text = _SURROGATE.sub("\ufffd", _INVISIBLE.sub("", _SEQUENCE.sub("", text)))
    return shortened(text, limit)


def shortened(text: str, limit: int) -> str:
    """Cut what exceeds `limit` characters, with a visible mark, if that makes the text shorter."""
    mark = f"… {len(text) - limit:,} more characters"
    return text if len(text) <= limit + len(mark) else text[:limit] + mark
