"""Models of mace's own constructor with random weights, and crystals of theirs."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from ase.build import bulk
from tests.families import require_family

from nextrung.potentials.mace.backend import MaceBackend
from nextrung.potentials.mace.loading import load_mace
from nextrung.potentials.mace.package import import_mace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from ase import Atoms


#: Elements of the models.
NUMBERS = [1, 3, 8, 9, 11, 12, 14, 17, 22, 26, 28, 29]
CPU = torch.device("cpu")


@pytest.fixture(scope="session")
def mace() -> None:
    """The package mace; tests skip without it."""
    require_family("mace", "mace")
    torch.set_num_threads(1)


@pytest.fixture
def unsafe_load(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let mace's own code read pickles, as it does in a process of its own."""
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@pytest.fixture(scope="session")
def build(mace: None) -> Callable[..., torch.nn.Module]:  # noqa: ARG001
    """Build a model with seeded random weights, by arguments of its constructor."""
    return _build


def _build(
    heads: tuple[str, ...] = ("Default",),
    dtype: torch.dtype = torch.float32,
    interaction: str = "RealAgnosticResidualInteractionBlock",
    **arguments: Any,  # noqa: ANN401
) -> torch.nn.Module:
    """Build a model."""
    modules, o3 = import_mace("mace.modules"), import_mace("e3nn.o3")
    rng = np.random.default_rng(0)
    defaults = {
        "r_max": 5.0,
        "num_bessel": 8,
        "num_polynomial_cutoff": 5,
        "max_ell": 2,
        "interaction_cls": modules.interaction_classes[interaction],
        "interaction_cls_first": modules.interaction_classes[interaction],
        "num_interactions": 2,
        "num_elements": len(NUMBERS),
        "hidden_irreps": o3.Irreps("16x0e+16x1o"),
        "MLP_irreps": o3.Irreps("16x0e"),
        "atomic_energies": rng.normal(-5, 2, (len(heads), len(NUMBERS))),
        "avg_num_neighbors": 30.0,
        "atomic_numbers": NUMBERS,
        "correlation": 2,
        "gate": torch.nn.functional.silu,
        "heads": list(heads),
        "atomic_inter_scale": [1.3] * len(heads),
        "atomic_inter_shift": [0.1] * len(heads),
    }
    default = torch.get_default_dtype()
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.manual_seed(0)
        torch.set_default_dtype(dtype)
        try:
            model: torch.nn.Module = modules.ScaleShiftMACE(**defaults | arguments)
        finally:
            torch.set_default_dtype(default)
    return model


@pytest.fixture(scope="session")
def model_file(
    build: Callable[..., torch.nn.Module], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A model in float32 of two heads, ``pbe`` and ``r2scan``."""
    path = tmp_path_factory.mktemp("mace") / "two_heads.model"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.save(build(heads=("pbe", "r2scan")), path)
    return path


@pytest.fixture
def backend(model_file: Path) -> MaceBackend:
    """The model of two heads, with its head ``r2scan``."""
    backend = load_mace(f"mace:{model_file}#r2scan", "cpu").backend
    assert isinstance(backend, MaceBackend)
    return backend


@pytest.fixture(scope="session")
def crystals() -> list[Atoms]:
    """Six rattled, strained crystals of 2 to 4 atoms, one far outside its cell."""
    rng = np.random.default_rng(0)
    made = []
    for index, (name, prototype, a) in enumerate(
        [
            ("NaCl", "rocksalt", 5.6),
            ("LiF", "rocksalt", 4.0),
            ("MgO", "rocksalt", 4.2),
            ("Cu", "fcc", 3.6),
            ("SiO", "zincblende", 4.5),
            ("TiO", "cesiumchloride", 2.8),
        ]
    ):
        atoms = bulk(name, prototype, a) * (1, 1, 1 + index % 2)
        atoms.rattle(0.1, seed=index)
        cell = atoms.cell[:] + rng.normal(0, 0.1, (3, 3))
        atoms.set_cell(cell, scale_atoms=True)
        made.append(atoms)
    made[1].positions += 37.0
    return made
