"""Sections of a report, and the documents they are made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from nextrung.reports.html.elements import element
from nextrung.reports.html.model_style import appearance, colour_dot, in_order
from nextrung.schemas.base import InputError, TaskDoc

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from xml.etree.ElementTree import Element

    from nextrung.reports.plots.figure import Figure

Doc = TypeVar("Doc", bound=TaskDoc)


@dataclass(frozen=True)
class Section:
    """A section of a report.

    Parameters
    ----------
    anchor : str
        Target of links to the section.
    title : str
        Title for readers.
    blocks : tuple of Element or Figure
        Text, tables and figures, in order.
    """

    anchor: str
    title: str
    blocks: tuple[Element | Figure, ...]


def document_of(
    documents: Mapping[str, TaskDoc], key: str, kind: type[Doc]
) -> Doc | None:
    """Find the document of a stage.

    Parameters
    ----------
    documents : mapping of str to TaskDoc
        Documents by stage, or by stage/model.
    key : str
        Stage, or stage/model.
    kind : type
        Class of the document.

    Returns
    -------
    TaskDoc or None
        The document; None where it is missing.

    Raises
    ------
    InputError
        If it is a document of another class.
    """
    document = documents.get(key)
    if document is None or isinstance(document, kind):
        return document
    got = type(document).__name__
    raise InputError(f"document {key!r}: expected a {kind.__name__}, got a {got}")


def documents_of(
    documents: Mapping[str, TaskDoc], stage: str, kind: type[Doc]
) -> dict[str, Doc]:
    """Find the documents of a stage that runs once per model.

    Parameters
    ----------
    documents : mapping of str to TaskDoc
        Documents by stage, or by stage/model.
    stage : str
        Name of the stage.
    kind : type
        Class of the documents.

    Returns
    -------
    dict of str to TaskDoc
        Documents by model, in the paper's order.
    """
    prefix = f"{stage}/"
    models = [key.removeprefix(prefix) for key in documents if key.startswith(prefix)]
    found = {
        model: document_of(documents, prefix + model, kind)
        for model in in_order(models)
    }
    return {model: document for model, document in found.items() if document}


def explain_absence(stage: str, settings: object | None) -> Element:
    """Explain why a section is empty.

    Parameters
    ----------
    stage : str
        Name of the stage for readers.
    settings : object or None
        Settings of the stage in the study; None where the study leaves it out.
    """
    if settings is None:
        text = f"The study leaves the {stage} stage out."
    else:
        text = f"There is no document of the {stage} stage: it is not finished."
    return element("p", text, class_="absent")


def list_colours(models: Iterable[str]) -> Element:
    """Build a legend of the colours of models.

    Parameters
    ----------
    models : iterable of str
        Models of a study.

    Returns
    -------
    Element
        One line of titles beside their colours.
    """
    entries = []
    for model in in_order(models):
        look = appearance(model)
        dot = colour_dot(look.colour)
        entries.append(element("span", dot, look.title, class_="entry"))
    return element("p", *entries, class_="legend")
