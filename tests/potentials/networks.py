"""The networks of potentials, for tests that look inside."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from nextrung.potentials.interface import TrainableBackend

if TYPE_CHECKING:
    from nextrung.potentials.potential import Potential


def backend_of(potential: Potential) -> TrainableBackend:
    """The backend of a potential that can be trained."""
    assert isinstance(potential.backend, TrainableBackend)
    return potential.backend


def limited(potential: Potential, cost: float) -> TrainableBackend:
    """Copy the backend of a potential with another cost of a micro-batch."""
    backend = backend_of(potential).copy()
    backend.limits = replace(backend.limits, training={"cpu": cost})
    return backend


def network_of(potential: Potential) -> Any:  # noqa: ANN401 - of any architecture
    """The torch module of a potential."""
    return backend_of(potential).module
