from __future__ import annotations

import pickle
import subprocess
import sys
import warnings
from typing import TYPE_CHECKING

import numpy as np
import pytest
from ase.filters import FrechetCellFilter
from ase.optimize import FIRE

from nextrung.potentials.mace.package import import_mace
from nextrung.potentials.potential import Potential
from nextrung.schemas.relaxation import RelaxationSettings, RelaxationStatus

if TYPE_CHECKING:
    from pathlib import Path

    from ase import Atoms

    from nextrung.potentials.mace.backend import MaceBackend


@pytest.mark.usefixtures("unsafe_load")
def test_a_relaxation_in_flight_is_that_of_the_calculator_of_mace(
    backend: MaceBackend, model_file: Path, crystals: list[Atoms]
) -> None:
    """Step for step, with ASE's FIRE and Frechet cell filter; six at once."""
    potential = Potential(backend.double(), "mace", backend.known_elements)
    settings = RelaxationSettings(fmax=1e-4, max_steps=12)
    calculator = import_mace("mace.calculators").MACECalculator(
        str(model_file), device="cpu", default_dtype="float64", head="r2scan"
    )

    records = potential.relax(crystals, settings)

    for atoms, record in zip(crystals, records, strict=True):
        alone = atoms.copy()
        alone.calc = calculator
        FIRE(FrechetCellFilter(alone), logfile=None).run(fmax=1e-4, steps=12)
        assert record.status is RelaxationStatus.MAX_STEPS
        assert record.structure is not None
        assert record.energy == pytest.approx(alone.get_potential_energy(), abs=1e-6)
        np.testing.assert_allclose(
            record.structure.lattice.matrix, alone.cell[:], atol=1e-5
        )


def test_an_element_that_the_model_has_not_is_a_row_with_its_reason(
    backend: MaceBackend, crystals: list[Atoms]
) -> None:
    potential = Potential(backend, "mace", backend.known_elements)
    unknown = crystals[0].copy()
    unknown.symbols[0] = "K"

    usable, failed = potential.predict([crystals[0], unknown])

    assert usable.error is None
    assert failed.error == "unknown to this potential: K"


def test_a_worker_process_leaves_reading_pickles_safe(
    backend: MaceBackend, tmp_path: Path
) -> None:
    """It imports mace as it receives the model; a rank has the network first."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        (tmp_path / "model").write_bytes(pickle.dumps((backend.module, backend)))
    script = (
        "import os, pickle, sys; "
        "module, backend = pickle.load(open(sys.argv[1], 'rb')); "
        "print(backend.head, module is backend.module, "
        "'TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD' in os.environ)"
    )

    done = subprocess.run(  # noqa: S603 - our own script
        [sys.executable, "-W", "ignore", "-c", script, str(tmp_path / "model")],
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.splitlines()[-1] == "r2scan True False"
