"""Tables of the atomic reference energies before and after re-referencing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nextrung.reports.html.elements import details_table, number, numeric, row

if TYPE_CHECKING:
    from collections.abc import Mapping
    from xml.etree.ElementTree import Element

    from nextrung.schemas.atom_refs import AtomRefDoc


def list_atom_refs(documents: Mapping[str, AtomRefDoc]) -> list[Element]:
    """List the reference energies of every fit.

    Parameters
    ----------
    documents : mapping of str to AtomRefDoc
        Fits by kind of re-referencing.

    Returns
    -------
    list of Element
        A collapsed table each.
    """
    listed: list[Element] = []
    for kind, document in documents.items():
        rows = [
            row(
                symbol,
                number(document.previous.get(symbol), 4, reason="none in the source"),
                number(energy, 4),
                number(document.shift.get(symbol), 4, reason="none in the source"),
            )
            for symbol, energy in document.atom_refs.items()
        ]
        titles = numeric("Before (eV)", "After (eV)", "Shift (eV)")
        listed += details_table(
            _describe_fit(kind, document), ["Element", *titles], rows
        )
    return listed


def _describe_fit(kind: str, document: AtomRefDoc) -> str:
    """Describe the quality of a fit in one line."""
    fit = document.fit
    if fit is None:
        return f"Atom refs `{kind}`: those of the source"
    text = (
        f"Atom refs `{kind}`: {fit.n_frames:,} frames, rank {fit.rank}, "
        f"residual {1000 * fit.rmse:,.1f} meV/atom"
    )
    if fit.undetermined:
        groups = "; ".join(" + ".join(group) for group in fit.undetermined)
        text += f", undetermined: {groups}"
    return text
