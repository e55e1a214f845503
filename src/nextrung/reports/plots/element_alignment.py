"""Shift and importance of each element on periodic tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nextrung.reports.plots.figure import Figure
from nextrung.reports.plots.periodic_table import Scale, plot_periodic_table
from nextrung.schemas.alignment import AlignmentCorrections, AlignmentDoc

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Most elements that a caption names.
MAX_NAMED = 8

#: Elements that a caption lists by unnormalised importance.
N_RANKED = 5


def plot_elements(document: AlignmentDoc) -> list[Figure]:
    """Plot the shift and the importance of each element.

    Parameters
    ----------
    document : AlignmentDoc
        The alignment.

    Returns
    -------
    list of Figure
        Shifts (Fig. 2 of the paper), and importances with and without corrections
        (Fig. 1c, d).
    """
    elements = document.elements
    shifts = {s: e.shift for s, e in elements.items() if e.shift is not None}
    figures = []
    if shifts:
        texts = {symbol: f"{shift:+.3f} eV" for symbol, shift in shifts.items()}
        figures.append(
            Figure(
                "element-shifts",
                "Target minus source atomic reference energy of each element, in eV.",
                plot_periodic_table(shifts, texts, title="eV", scale=Scale.DIVERGING),
                {"element": list(shifts), "shift_eV": list(shifts.values())},
            )
        )
    return figures + _plot_importances(document)


def _plot_importances(document: AlignmentDoc) -> list[Figure]:
    """Plot the importances with and without corrections."""
    elements = document.elements
    if not any(found.importance for found in elements.values()):
        return []
    known = document.corrections is not AlignmentCorrections.NONE
    figures = [
        _plot_importance(
            "element-importance",
            _caption_importance(document, "with" if known else None),
            document=document,
            importances={
                symbol: (found.importance, found.normalised_importance)
                for symbol, found in elements.items()
            },
        )
    ]
    plain = {
        symbol: (found.importance_uncorrected, found.normalised_importance_uncorrected)
        for symbol, found in elements.items()
    }
    uncorrected = {
        symbol: (importance, scaled)
        for symbol, (importance, scaled) in plain.items()
        if importance is not None and scaled is not None
    }
    if uncorrected:
        caption = _caption_importance(document, "without")
        name = "element-importance-uncorrected"
        figures.append(
            _plot_importance(name, caption, document=document, importances=uncorrected)
        )
    return figures


def _caption_importance(document: AlignmentDoc, corrections: str | None) -> str:
    """Write the caption of a plot of importances."""
    text = (
        "Importance of each element for the difference of formation energies: "
        "importance in a decision tree divided by the number of atoms, scaled (as Fig. "
        f"1{'d' if corrections == 'without' else 'c'} of the paper)."
    )
    if corrections is not None:
        text += f" GGA/GGA+U energies {corrections} the MP2020 corrections."
    missing = document.elements_without_phase
    if missing:
        named = ", ".join(missing)
        if len(missing) > MAX_NAMED:
            named = f"{len(missing)} of {len(document.elements)} elements"
        text += (
            f" There is no pure phase of {named}: atomic reference energies are used "
            "in place of their elemental energies."
        )
    return text


def _plot_importance(
    name: str,
    caption: str,
    *,
    document: AlignmentDoc,
    importances: Mapping[str, tuple[float, float]],
) -> Figure:
    """Plot normalised importances."""
    atoms = {symbol: document.elements[symbol].n_atoms for symbol in importances}
    values = {symbol: scaled for symbol, (_, scaled) in importances.items()}
    texts = {
        symbol: f"normalised importance {scaled:.3f}<br>"
        f"importance {importance:.3f}, {atoms[symbol]:,} atoms"
        for symbol, (importance, scaled) in importances.items()
    }
    ranked = sorted(importances.items(), key=lambda item: -item[1][0])[:N_RANKED]
    largest = ", ".join(f"{symbol} {share:.2f}" for symbol, (share, _) in ranked)
    return Figure(
        name,
        f"{caption} Before normalisation: {largest}.",
        plot_periodic_table(values, texts, title="importance"),
        {
            "element": list(values),
            "n_atoms": list(atoms.values()),
            "importance": [importance for importance, _ in importances.values()],
            "normalised_importance": list(values.values()),
        },
    )
