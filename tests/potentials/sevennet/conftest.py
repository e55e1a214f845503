"""Models that the package sevenn carries, and crystals of theirs."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from ase.build import bulk
from tests.families import require_family

from nextrung.potentials.sevennet.files import split_name
from nextrung.potentials.sevennet.loading import load_sevennet

if TYPE_CHECKING:
    from collections.abc import Callable

    from ase import Atoms
    from sevenn.calculator import SevenNetCalculator

    from nextrung.potentials.interface import LoadedModel
    from nextrung.potentials.sevennet.backend import SevenNetBackend

CPU = torch.device("cpu")


@pytest.fixture(scope="session")
def sevenn() -> None:
    """The package sevenn; tests skip without it."""
    require_family("sevennet", "sevenn")
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def load(sevenn: None) -> Callable[[str], LoadedModel]:  # noqa: ARG001
    """Load a model by its name, each once per session."""
    loaded: dict[str, LoadedModel] = {}

    def load_once(name: str) -> LoadedModel:
        if name not in loaded:
            loaded[name] = load_sevennet(name, CPU)
        return loaded[name]

    return load_once


@pytest.fixture
def backend(load: Callable[[str], LoadedModel]) -> SevenNetBackend:
    """The fidelity R2SCAN of the multi-fidelity model."""
    loaded: SevenNetBackend = load("sevennet-mf-0/R2SCAN").backend  # type: ignore[assignment]
    return loaded


@pytest.fixture(scope="session")
def calculate(sevenn: None) -> Callable[..., SevenNetCalculator]:  # noqa: ARG001
    """Make the calculator of sevenn itself, by a name or path, each once."""
    from sevenn.calculator import SevenNetCalculator  # noqa: PLC0415

    made: dict[str, SevenNetCalculator] = {}

    def make(name: str) -> SevenNetCalculator:
        if name not in made:
            path, fidelity = split_name(name)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # no accelerator
                made[name] = SevenNetCalculator(path, modal=fidelity, device="cpu")
        return made[name]

    return make


@pytest.fixture(scope="session")
def crystals() -> list[Atoms]:
    """Six rattled, strained crystals of 1 to 8 atoms, one far outside its cell."""
    rng = np.random.default_rng(0)
    made = []
    for index, (name, prototype, a) in enumerate(
        [
            ("NaCl", "rocksalt", 5.6),
            ("LiF", "rocksalt", 4.0),
            ("Cu", "fcc", 3.6),
            ("MgO", "rocksalt", 4.2),
            ("SiO", "zincblende", 4.5),
            ("TiO", "cesiumchloride", 2.8),
        ]
    ):
        atoms = bulk(name, prototype, a)
        atoms *= (1, 1, 1) if index == 2 else (1, 1 + index // 4, 1 + index % 2)
        atoms.rattle(0.1, seed=index)
        cell = atoms.cell[:] + rng.normal(0, 0.1, (3, 3))
        atoms.set_cell(cell, scale_atoms=True)
        made.append(atoms)
    made[1].positions += 37.0
    return made
