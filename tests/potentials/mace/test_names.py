from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nextrung.potentials.registry import find_files, load_potential
from nextrung.schemas.base import InputError

if TYPE_CHECKING:
    from pathlib import Path

    from ase import Atoms


@pytest.mark.parametrize("pattern", ["mace:{}#r2scan", "{}"])
def test_a_model_is_loaded_by_its_name_and_saved_ones_by_their_content(
    model_file: Path, crystals: list[Atoms], tmp_path: Path, pattern: str
) -> None:
    """A file that this package saved remembers its head."""
    potential = load_potential(f"mace:{model_file}#r2scan", "cpu")
    saved = tmp_path / "saved.model"
    potential.save(saved, functional="r2SCAN")
    file = model_file if "#" in pattern else saved

    loaded = load_potential(pattern.format(file), "cpu")

    assert loaded.family == "mace"
    assert find_files(pattern.format(file)) == [file]
    [expected], [found] = potential.predict(crystals[0]), loaded.predict(crystals[0])
    assert found.energy == pytest.approx(expected.energy, abs=1e-6)


def test_a_wrong_head_is_one_line(model_file: Path) -> None:
    with pytest.raises(InputError, match=r"expected one of the heads .*, got pbesol$"):
        load_potential(f"mace:{model_file}#pbesol", "cpu")
