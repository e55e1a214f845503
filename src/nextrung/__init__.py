"""Take a universal interatomic potential to a better DFT functional."""

from __future__ import annotations

import os
from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nextrung.adapters.files.frames import read_frames
    from nextrung.compute.atom_refs import fit_atom_refs, fit_shift
    from nextrung.compute.stability import score_decomposition
    from nextrung.makers.study import StudyMaker
    from nextrung.potentials.potential import Potential
    from nextrung.potentials.registry import load_potential
    from nextrung.schemas.base import InputError
    from nextrung.schemas.frames import Frames
    from nextrung.schemas.prediction import Prediction
    from nextrung.schemas.relaxation import RelaxationRecord, RelaxationSettings
    from nextrung.schemas.stability import Competitors

# GNU OpenMP reads this when torch is imported. Threads that spin while they wait make
# a busy machine tens of times slower than a single thread would be.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

__version__ = version("nextrung")

__all__ = [
    "Competitors",
    "Frames",
    "InputError",
    "Potential",
    "Prediction",
    "RelaxationRecord",
    "RelaxationSettings",
    "StudyMaker",
    "__version__",
    "fit_atom_refs",
    "fit_shift",
    "load_potential",
    "read_frames",
    "score_decomposition",
]

#: Where each public name lives; its module is imported when it is first asked for.
_HOMES = {
    "Competitors": "nextrung.schemas.stability",
    "Frames": "nextrung.schemas.frames",
    "InputError": "nextrung.schemas.base",
    "Potential": "nextrung.potentials.potential",
    "Prediction": "nextrung.schemas.prediction",
    "RelaxationRecord": "nextrung.schemas.relaxation",
    "RelaxationSettings": "nextrung.schemas.relaxation",
    "StudyMaker": "nextrung.makers.study",
    "fit_atom_refs": "nextrung.compute.atom_refs",
    "fit_shift": "nextrung.compute.atom_refs",
    "load_potential": "nextrung.potentials.registry",
    "read_frames": "nextrung.adapters.files.frames",
    "score_decomposition": "nextrung.compute.stability",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401
    """Import a public name when it is first asked for."""
    if name not in _HOMES:
        raise AttributeError(f"module 'nextrung' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    """List the public names."""
    return sorted(__all__)
