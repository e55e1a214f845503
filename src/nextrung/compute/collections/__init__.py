"""Rows of the result collections, made from the documents of jobs."""

from __future__ import annotations

from nextrung.compute.collections.errors import list_metrics, list_residuals
from nextrung.compute.collections.models import (
    describe_model,
    list_physics,
    list_scaling,
)
from nextrung.compute.collections.phases import (
    list_benchmarks,
    list_densities,
    list_stability,
)
from nextrung.compute.collections.relaxations import (
    MaterialSummary,
    RelaxationSummary,
    describe_materials,
    list_relaxations,
)

__all__ = [
    "MaterialSummary",
    "RelaxationSummary",
    "describe_materials",
    "describe_model",
    "list_benchmarks",
    "list_densities",
    "list_metrics",
    "list_physics",
    "list_relaxations",
    "list_residuals",
    "list_scaling",
    "list_stability",
]
