"""Tables of the atomic reference energies before and after re-referencing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nextrung.reports.html.elements import details_table, number, numeric, row

if TYPE_CHECKING:
    from collections.abc import Mapping
    from xml.etree.ElementTree import Element

    from nextrung.schemas.atom_refs import AtomRefDoc, AtomRefPosterior


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
        posterior = None if document.fit is None else document.fit.posterior
        errors = {} if posterior is None else posterior.standard_errors
        estimated = [] if posterior is None else posterior.unseen
        rows = [
            row(
                f"{symbol} (prior)" if symbol in estimated else symbol,
                number(document.previous.get(symbol), 4, reason="none in the source"),
                number(energy, 4),
                number(document.shift.get(symbol), 4, reason="none in the source"),
                number(errors.get(symbol), 4, reason="not estimated"),
            )
            for symbol, energy in document.atom_refs.items()
        ]
        titles = numeric(
            "Before (eV)", "After (eV)", "Shift (eV)", "Standard error (eV)"
        )
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
    if fit.posterior is not None:
        text += _describe_posterior(fit.posterior)
    return text


def _describe_posterior(posterior: AtomRefPosterior) -> str:
    """Describe the errors on left-out materials, and the elements of the prior."""
    text = (
        f"; left-out materials: MAE {1000 * posterior.left_out_mae:,.1f} meV/atom, "
        f"{posterior.left_out_coverage:.0%} of {posterior.n_materials:,} within their "
        "90 % interval"
    )
    if posterior.unseen:
        text += f"; no frame, from the prior: {', '.join(posterior.unseen)}"
    return text
