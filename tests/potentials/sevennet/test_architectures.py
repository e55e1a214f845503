"""Architectures that sevenn can build, besides those of the shipped models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from tests.potentials.sevennet.models import SYMBOLS, write_model
from tests.potentials.sevennet.predictions import check_equal, predict

from nextrung.potentials.sevennet.loading import load_sevennet

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from ase import Atoms
    from ase.calculators.calculator import Calculator

CPU = torch.device("cpu")


@pytest.mark.usefixtures("sevenn")
@pytest.mark.parametrize(
    "changed",
    [
        {"is_parity": True, "lmax": 2},
        {"self_connection_type": "linear"},
        {
            "readout_as_fcn": True,
            "readout_fcn_activation": "silu",
            "readout_fcn_hidden_neurons": [6],
        },
        {"use_bias_in_linear": True},
        {"cutoff_function": {"cutoff_function_name": "XPLOR", "cutoff_on": 3.5}},
        {"shift": -4.0, "scale": 1.1},
        {"scale": np.linspace(1, 2, len(SYMBOLS)).tolist()},
    ],
    ids="+".join,
)
def test_models_of_sevenns_constructor_have_the_numbers_of_sevenn(
    changed: dict[str, Any],
    calculate: Callable[[str], Calculator],
    crystals: Sequence[Atoms],
    tmp_path: Path,
) -> None:
    path = tmp_path / "model.pth"
    write_model(path, **changed)

    backend: Any = load_sevennet(str(path), CPU).backend
    check_equal(predict(backend, crystals), crystals, calculate(str(path)))

    saved = tmp_path / "saved.pth"
    backend.save(saved, backend.known_elements, {})
    check_equal(predict(backend, crystals), crystals, calculate(str(saved)))
    if changed.get("shift") == -4.0:
        assert backend.atom_refs == dict.fromkeys(backend.known_elements, -4.0)
        moved = backend.with_atom_refs(dict.fromkeys(SYMBOLS, -3.0))
        energies = (
            predict(moved, crystals).energies - predict(backend, crystals).energies
        )
        n_atoms = [len(atoms) for atoms in crystals]
        np.testing.assert_allclose(energies, n_atoms, atol=1e-5)
    assert backend.checked_layer in backend.tracked_layers
