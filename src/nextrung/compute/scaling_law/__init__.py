"""Power laws of errors over the number of training frames, and their crossing.

Power laws are fitted as straight lines through log10(error) over log10(frames) [1]_.

References
----------
.. [1] X. Huang et al., npj Comput. Mater. (2025), doi 10.1038/s41524-025-01796-y,
   figure 6.
"""

from __future__ import annotations

from nextrung.compute.scaling_law.crossings import find_crossing
from nextrung.compute.scaling_law.laws import (
    fit_power_law,
    is_out_of_reach,
    select_curve,
    size_for_error,
)
from nextrung.compute.scaling_law.lines import Curve
from nextrung.compute.scaling_law.scores import score_scaling_law

__all__ = [
    "Curve",
    "find_crossing",
    "fit_power_law",
    "is_out_of_reach",
    "score_scaling_law",
    "select_curve",
    "size_for_error",
]
