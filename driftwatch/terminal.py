"""Makes untrusted texts safe to print on a terminal: what would control it is shown, not executed."""

from __future__ import annotations

import re

STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters except tabs and line breaks, writing directions that hide what is written, and lone surrogates,
which cannot be encoded."""


def printable(text: str) -> str:
    r"""A text with control characters escaped: they could set colours, titles, links and the clipboard.

    >>> print(printable("Bonn\x1b[31m \u202egnp"))
    Bonn\x1b[31m \u202egnp
    """
    return STEERING.sub(lambda found: found[0].encode("unicode_escape").decode(), text)
