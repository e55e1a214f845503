"""Checks of a study by a few quick calculations before it is run [1]_.

References
----------
.. [1] X. Huang et al., npj Comput. Mater. (2025), doi 10.1038/s41524-025-01796-y,
   figures 2b and 3a, table 1.
"""

from __future__ import annotations

from nextrung.compute.preflight.correlation import (
    PartialCorrelation,
    check_correlation,
    correlate_structure,
)
from nextrung.compute.preflight.labels import check_mixtures, check_outliers
from nextrung.compute.preflight.sample import (
    check_losses,
    choose_sample,
    find_out_of_range_frames,
    list_unreferenced,
)
from nextrung.compute.preflight.trials import (
    check_alignment,
    check_gradients,
    check_trial,
    compare_gradients,
    list_transferred,
)
from nextrung.compute.preflight.verdict import reach_verdict

__all__ = [
    "PartialCorrelation",
    "check_alignment",
    "check_correlation",
    "check_gradients",
    "check_losses",
    "check_mixtures",
    "check_outliers",
    "check_trial",
    "choose_sample",
    "compare_gradients",
    "correlate_structure",
    "find_out_of_range_frames",
    "list_transferred",
    "list_unreferenced",
    "reach_verdict",
]
