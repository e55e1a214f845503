"""Output on the terminal, which shows names as they are."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from rich.console import Console

if TYPE_CHECKING:
    from rich.text import Text

#: Control characters that move the cursor or change the terminal.
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


class PlainConsole(Console):
    """Console to which text is neither markup nor emoji, without control characters.

    Names of files, entries and frames are the user's: ``[mp]-1`` would be shown as
    ``-1``, and ``a[/b]`` would raise. Styles are those of ``Text`` objects.
    """

    def __init__(self, **options: Any) -> None:  # noqa: ANN401
        super().__init__(markup=False, emoji=False, **options)

    def render_str(self, text: str, **options: Any) -> Text:  # noqa: ANN401
        """Render a text whose control characters are replaced."""
        return super().render_str(clean(text), **options)


def clean(text: str) -> str:
    """Replace the control characters of a text, except line breaks and tabs."""
    return CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)
