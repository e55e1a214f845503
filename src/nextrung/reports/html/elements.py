"""HTML as a tree, so that every name and number is escaped where it is written."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element, tostring

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

#: What stands for a value that is missing.
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
    """Write an element as HTML.

    Parameters
    ----------
    root : Element
        The element.

    Returns
    -------
    str
        Its HTML; text and attributes are escaped.
    """
    return tostring(root, encoding="unicode", method="html")


def format_number(value: float | None, digits: int) -> str:
    """Write a number with thousands separators, or a dash.

    Parameters
    ----------
    value : float or None
        The number.
    digits : int
        Decimals.

    Returns
    -------
    str
        The number for readers.
    """
    return MISSING if value is None else f"{value:,.{digits}f}"


def count(amount: int, noun: str) -> str:
    """Write a number of things.

    Parameters
    ----------
    amount : int
        How many.
    noun : str
        What, in the singular.

    Returns
    -------
    str
        The number and the noun, in the plural where it is not one.
    """
    return f"{amount:,} {noun}" if amount == 1 else f"{amount:,} {noun}s"


def write_duration(seconds: float) -> str:
    """Write a duration in the unit that suits it.

    Parameters
    ----------
    seconds : float
        The duration in s.

    Returns
    -------
    str
        Seconds below two minutes, minutes below two hours, and hours.
    """
    if seconds < 120:  # noqa: PLR2004
        return f"{seconds:.1f} s"
    if seconds < 7200:  # noqa: PLR2004
        return f"{seconds / 60:.1f} min"
    return f"{seconds / 3600:,.1f} h"


def number(
    value: float | None, digits: int = 0, *, factor: float = 1.0, reason: str = ""
) -> Element:
    """Build a table cell of a number that keeps the stored value for machines.

    Parameters
    ----------
    value : float or None
        The value as it is stored.
    digits : int
        Decimals shown.
    factor : float
        Factor from the stored unit to the shown one.
    reason : str
        Why the value is missing, shown as its tooltip.

    Returns
    -------
    Element
        A ``td``.
    """
    if value is None:
        tooltip = {"title": reason} if reason else {}
        return element("td", MISSING, class_="number missing", **tooltip)
    shown = format_number(value * factor, digits)
    return element("td", element("data", shown, value=repr(value)), class_="number")


def row(*cells: Element | str) -> Element:
    """Build a row of a table.

    Parameters
    ----------
    *cells : Element or str
        Cells; an element ``td`` or ``th`` is taken as it is.

    Returns
    -------
    Element
        A ``tr``.
    """
    return element("tr", *(_cell(cell, "td") for cell in cells))


def header(*titles: Element | str) -> Element:
    """Build the row of the titles of a table.

    Parameters
    ----------
    *titles : Element or str
        Titles; an element ``th`` is taken as it is.

    Returns
    -------
    Element
        A ``tr``.
    """
    return element("tr", *(_cell(title, "th") for title in titles))


def numeric(*titles: str) -> list[Element]:
    """Title columns of numbers.

    Parameters
    ----------
    *titles : str
        Titles, with units.

    Returns
    -------
    list of Element
        A ``th`` each.
    """
    return [element("th", title, class_="number") for title in titles]


def table(titles: Element, rows: Iterable[Element]) -> Element:
    """Build a table that scrolls sideways where the page is too narrow.

    Parameters
    ----------
    titles : Element
        The row of the titles.
    rows : iterable of Element
        The other rows.

    Returns
    -------
    Element
        A ``div`` around the table.
    """
    filled = element("table", element("thead", titles), element("tbody", *rows))
    return element("div", filled, class_="scroll", tabindex="0")


def _cell(content: Element | str, tag: str) -> Element:
    """Wrap what is not a cell yet."""
    if isinstance(content, Element) and content.tag in {"td", "th"}:
        return content
    return element(tag, content)


def details(summary: str, *children: Element | str) -> Element:
    """Build a part of the page that is folded away until it is wanted.

    Parameters
    ----------
    summary : str
        The line that stays visible.
    *children : Element or str
        What is folded away.

    Returns
    -------
    Element
        A ``details`` element.
    """
    return element("details", element("summary", summary), *children)


def embed_json(content: str | Mapping[str, object], **attributes: str) -> Element:
    """Build a script element of JSON that no content can end early.

    Parameters
    ----------
    content : str or mapping
        JSON, or what to write as JSON.
    **attributes : str
        Attributes as for :func:`element`.

    Returns
    -------
    Element
        A ``script`` of type ``application/json``.
    """
    text = content if isinstance(content, str) else json.dumps(content)
    safe = text.replace("<", "\\u003c")
    return element("script", safe, type="application/json", **attributes)


def paragraph(text: str, **attributes: str) -> Element:
    """Build a paragraph.

    Parameters
    ----------
    text : str
        Its text.
    **attributes : str
        Attributes as for :func:`~nextrung.reports.html.elements.element`.

    Returns
    -------
    Element
        A ``p``.
    """
    return element("p", text, **attributes)
