"""Correlation of the energies of two functionals, and differences by element.

Total energies of two functionals hardly correlate, as their atomic energies differ;
energies with each functional's atomic references subtracted do [1]_.

References
----------
.. [1] X. Huang et al., npj Comput. Mater. (2025), doi 10.1038/s41524-025-01796-y,
   figures 1 and 2, equations 4 and 5.
"""

from __future__ import annotations

from nextrung.compute.alignment.correction_estimates import locate_corrections
from nextrung.compute.alignment.elements import count_atoms, rank_elements
from nextrung.compute.alignment.pairing import pair_frames
from nextrung.compute.alignment.references import correlate, subtract_references
from nextrung.compute.alignment.scores import score_alignment

__all__ = [
    "correlate",
    "count_atoms",
    "locate_corrections",
    "pair_frames",
    "rank_elements",
    "score_alignment",
    "subtract_references",
]
