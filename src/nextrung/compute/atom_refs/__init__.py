"""Atomic reference energies by linear regression on composition.

CHGNet predicts the energy relative to a linear composition model, AtomRef. Functionals
differ most in this elemental part, so AtomRef is moved to the functional of the labels
before the network is fine-tuned [1]_. Total energies are fitted by least squares, as in
the paper; the shift of a source potential by Bayesian regression.

References
----------
.. [1] X. Huang et al., npj Comput. Mater. (2025), doi 10.1038/s41524-025-01796-y,
   equations 2 and 3.
"""

from __future__ import annotations

from nextrung.compute.atom_refs.compositions import (
    UndeterminedReferencesWarning,
    count_elements,
)
from nextrung.compute.atom_refs.least_squares import fit_atom_refs
from nextrung.compute.atom_refs.rereferencing import rereference
from nextrung.compute.atom_refs.shifts import fit_shift

__all__ = [
    "UndeterminedReferencesWarning",
    "count_elements",
    "fit_atom_refs",
    "fit_shift",
    "rereference",
]
