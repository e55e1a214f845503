"""Commands on potentials: fine-tune, evaluate, relax, density."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from monty.json import MontyEncoder
from pymatgen.core import Structure
from rich.console import Console
from rich.table import Table

from nextrung.adapters.crystals import read_crystals
from nextrung.adapters.dataset import read_labelled
from nextrung.adapters.study_files import apply_overrides
from nextrung.compute.atom_refs import fit_atom_refs, fit_shift
from nextrung.compute.density import score_densities, strain_lattice
from nextrung.compute.evaluation import score_predictions
from nextrung.potentials.fine_tuning import fine_tune as train
from nextrung.potentials.potential import load_potential
from nextrung.schemas.base import InputError
from nextrung.schemas.density import EMBEDDED, DensitySettings
from nextrung.schemas.fine_tuning import EpochRecord, FineTuningSettings
from nextrung.schemas.models import RECIPES, Model
from nextrung.schemas.relaxation import RelaxationEngine, RelaxationSettings

if TYPE_CHECKING:
    from nextrung.schemas.evaluation import PropertyErrors
