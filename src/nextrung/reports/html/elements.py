"""HTML elements, tables and formatted numbers; text is escaped when rendered."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element, tostring

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

#: Shown in place of a missing value.
MISSING = "\N{EN DASH}"


def element(tag: str, *children: Element | str, **attributes: str) -> Element:
    """Build an element.

    Parameters
    ----------
    tag : str
        Name of the element.
    *children : Element or str
        Elements and text, in order.
    **attributes : str
        Attributes; a trailing underscore is dropped, others become hyphens.

    Returns
    -------
    Element
        The element with its children.
    """
    named = {key.rstrip("_").replace("_", "-"): attributes[key] for key in attributes}
    made = Element(tag, named)
    for child in children:
        if isinstance(child, Element):
            made.append(child)
        elif len(made):
            made[-1].tail = (made[-1].tail or "") + child
        else:
            made.text = (made.text or "") + child
    return made


def render(root: Element) -> str:
    """Format an element as HTML.

    Parameters
    ----------
    root : Element
        The element.

    Returns
    -------
    str
        HTML with escaped text and attributes.
    """
    return tostring(root, encoding="unicode", method="html")


def format_number(value: float | None, digits: int) -> str:
    """Format a number with thousands separators, or a dash for a missing one.

    Parameters
    ----------
    value : float or None
        The number.
    digits : int
        Decimals.
    """
    return MISSING if value is None else f"{value:,.{digits}f}"


def format_count(amount: int, noun: str) -> str:
    """Format a number with its noun.

    Parameters
    ----------
    amount : int
        The number.
    noun : str
        The noun in the singular.

    Returns
    -------
    str
        Number and noun; plural unless the number is 1.
    """
    return f"{amount:,} {noun}" if amount == 1 else f"{amount:,} {noun}s"


def format_duration(seconds: float) -> str:
    """Format a duration in seconds, minutes or hours.

    Parameters
    ----------
    seconds : float
        The duration in s.

    Returns
    -------
    str
        Seconds below two minutes, minutes below two hours, else hours.
    """
    if seconds < 120:  # noqa: PLR2004
        return f"{seconds:.1f} s"
    if seconds < 7200:  # noqa: PLR2004
        return f"{seconds / 60:.1f} min"
    return f"{seconds / 3600:,.1f} h"


def number(
    value: float | None, digits: int = 0, *, factor: float = 1.0, reason: str = ""
) -> Element:
    """Build a table cell of a number; the stored value is an attribute.

    Parameters
    ----------
    value : float or None
        The stored value.
    digits : int
        Decimals shown.
    factor : float
        Factor from the stored to the shown unit.
    reason : str
        Why the value is missing, as a tooltip.
    """
    if value is None:
        tooltip = {"title": reason} if reason else {}
        return element("td", MISSING, class_="number missing", **tooltip)
    shown = format_number(value * factor, digits)
    return element("td", element("data", shown, value=repr(value)), class_="number")


def numeric(*titles: str) -> list[Element]:
    """Build right-aligned titles for columns of numbers.

    Parameters
    ----------
    *titles : str
        Titles, with units.
    """
    return [element("th", title, class_="number") for title in titles]


def row(*cells: Element | str) -> Element:
    """Build a row of a table.

    Parameters
    ----------
    *cells : Element or str
        Cells; anything but a ``td`` or ``th`` is wrapped in a ``td``.
    """
    return element("tr", *_wrap(cells, "td"))


def _wrap(cells: Iterable[Element | str], tag: str) -> list[Element]:
    """Wrap what is not a cell yet in one."""
    return [
        cell
        if isinstance(cell, Element) and cell.tag in {"td", "th"}
        else element(tag, cell)
        for cell in cells
    ]


def table(titles: Iterable[Element | str], rows: Iterable[Element]) -> Element:
    """Build a table that scrolls sideways on a narrow page.

    Parameters
    ----------
    titles : iterable of Element or str
        Column titles; text is wrapped in a ``th``.
    rows : iterable of Element
        Rows as of :func:`row`.

    Returns
    -------
    Element
        A ``div`` around the table.
    """
    head = element("thead", element("tr", *_wrap(titles, "th")))
    filled = element("table", head, element("tbody", *rows))
    return element("div", filled, class_="scroll", tabindex="0")


def details(summary: str, *children: Element | str) -> Element:
    """Build a collapsed part of the page.

    Parameters
    ----------
    summary : str
        The line that is always visible.
    *children : Element or str
        The collapsed content.
    """
    return element("details", element("summary", summary), *children)


def details_table(
    summary: str, titles: Iterable[Element | str], rows: Sequence[Element]
) -> list[Element]:
    """Build a collapsed table.

    Parameters
    ----------
    summary : str
        The line that is always visible.
    titles : iterable of Element or str
        Column titles.
    rows : sequence of Element
        Rows as of :func:`row`.

    Returns
    -------
    list of Element
        One ``details`` element; none without rows.
    """
    return [details(summary, table(titles, rows))] if rows else []


def embed_json(content: Mapping[str, object], **attributes: str) -> Element:
    """Build a script element of JSON whose content cannot close the element.

    Parameters
    ----------
    content : mapping
        The content.
    **attributes : str
        Attributes as for :func:`element`.

    Returns
    -------
    Element
        A ``script`` of type ``application/json``.
    """
    text = json.dumps(content).replace("<", "\\u003c")
    return element("script", text, type="application/json", **attributes)
