"""Reference energies of a model after re-referencing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nextrung.schemas.base import InputError
from nextrung.schemas.models import Rereference

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nextrung.schemas.atom_refs import AtomRefFit


def rereference(
    kind: Rereference, previous: Mapping[str, float], fit: AtomRefFit | None
) -> dict[str, float]:
    """Move the reference energies of a model by equation 3 of Huang et al. [1]_.

    Parameters
    ----------
    kind : Rereference
        ``none`` keeps the previous references, ``refit`` returns the fitted ones,
        ``residual`` adds the fitted shift to the previous ones.
    previous : mapping of str to float
        References of the source model in eV/atom, by symbol.
    fit : AtomRefFit or None
        Result of :func:`fit_atom_refs` for ``refit``, of :func:`fit_shift` for
        ``residual``; not used for ``none``.

    Returns
    -------
    dict of str to float
        References in eV/atom, by symbol. Except for ``none``, elements that were not
        fitted are absent: they have no reference.

    Raises
    ------
    InputError
        If the fit is missing, or shifts an element without a previous reference.
    """
    if kind is Rereference.NONE:
        return dict(previous)
    if fit is None:
        raise InputError(f"expected a fit to re-reference by {kind}, got none")
    if kind is Rereference.REFIT:
        return dict(fit.energies)
    unknown = sorted(set(fit.energies) - set(previous))
    if unknown:
        raise InputError(
            f"expected previous references of all shifted elements, got none of "
            f"{', '.join(unknown)}"
        )
    return {symbol: previous[symbol] + shift for symbol, shift in fit.energies.items()}
