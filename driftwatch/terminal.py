"""Texts of strangers on a terminal: what would steer it is shown instead of done."""

from __future__ import annotations

import re

STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters but for tabs and line breaks, directions of writing that hide what is written, and halves of
characters, which no output takes."""


def printable(text: str) -> str:
    r"""A text whose control characters are escaped: they could set colours, titles, links and what is on the clipboard.

    >>> print(printable("Bonn\x1b[31m \u202egnp"))
    Bonn\x1b[31m \u202egnp
    """
    return STEERING.sub(lambda found: found[0].encode("unicode_escape").decode(), text)
