"""A made-up study whose numbers follow simple rules."""

from __future__ import annotations

from tests.made_up_study.errors import BASELINE, make_evaluations, make_hulls
from tests.made_up_study.models import (
    make_density,
    make_evaluation,
    make_fine_tuning,
    make_stability,
    tabulate,
)
from tests.made_up_study.stages import (
    ENERGY_ERRORS,
    MATERIALS,
    make_artifact,
    make_dataset,
    make_preflight,
    make_provenance,
    make_scaling_law,
)
from tests.made_up_study.study import make_documents, make_study, replace_models

__all__ = [
    "BASELINE",
    "ENERGY_ERRORS",
    "MATERIALS",
    "make_artifact",
    "make_dataset",
    "make_density",
    "make_documents",
    "make_evaluation",
    "make_evaluations",
    "make_fine_tuning",
    "make_hulls",
    "make_preflight",
    "make_provenance",
    "make_scaling_law",
    "make_stability",
    "make_study",
    "replace_models",
    "tabulate",
]
