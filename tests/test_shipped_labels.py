"""Labels that the package ships, and a calculation of one of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml

from nextrung.adapters.gpaw.calculation import run_gpaw
from nextrung.adapters.sources.registry import read_labels
from nextrung.schemas.labels.gpaw import GpawSettings
from nextrung.schemas.labels.sources import LabelFilesSource, ShippedLabels

FOLDER = Path(__file__).parents[1] / "workflows" / "gpaw_labels"


@pytest.mark.parametrize("name", ShippedLabels)
def test_shipped_labels_are_of_three_systems(
    name: ShippedLabels,
) -> None:
    frames = read_labels(LabelFilesSource(shipped=name)).frames

    assert len(set(frames.material_ids.tolist())) >= 60
    assert len(frames) >= 200
    assert np.isfinite(frames.energies).all()
    assert np.isfinite(frames.forces).all()
    assert np.isfinite(frames.stresses).all()
    systems = {each.chemical_system for each in frames.compositions()}
    assert {"Al-Li-Si", "Ge-Li-Te", "As-Li-Se"} <= systems


def test_shipped_functionals_label_the_same_structures() -> None:
    pbe, r2scan = (
        read_labels(LabelFilesSource(shipped=name)).frames for name in ShippedLabels
    )
    order = [frames.frame_ids.argsort() for frames in (pbe, r2scan)]
    first, second = pbe[order[0]], r2scan[order[1]]

    assert first.frame_ids.tolist() == second.frame_ids.tolist()
    np.testing.assert_allclose(first.lattices, second.lattices, atol=1e-9)
    np.testing.assert_allclose(first.frac_coords, second.frac_coords, atol=1e-9)


@pytest.mark.slow
@pytest.mark.usefixtures("gpaw")
@pytest.mark.parametrize("name", ShippedLabels)
def test_a_shipped_label_is_calculated_again(
    name: ShippedLabels, tmp_path: Path
) -> None:
    """The displaced crystal of two atoms with the fewest electrons."""
    frames = read_labels(LabelFilesSource(shipped=name)).frames
    electrons = {
        frame_id: sum(structure.atomic_numbers)
        for frame_id, structure in zip(
            frames.frame_ids.tolist(), frames.to_structures(), strict=True
        )
        if "#2" in frame_id
    }
    chosen = frames[frames.frame_ids == min(electrons, key=lambda key: electrons[key])]
    text = (FOLDER / "single_point.yaml").read_text()
    settings = GpawSettings.model_validate(
        yaml.safe_load(text) | {"functional": frames.functional}
    )

    run = run_gpaw(chosen.to_structures()[0], settings, tmp_path)

    (step,) = run.steps
    assert np.abs(chosen.forces).max() > 0.05
    per_atom = (step["energy"] - chosen.energies[0]) / chosen.n_atoms[0]
    assert per_atom == pytest.approx(0, abs=1e-4)
    np.testing.assert_allclose(step["forces"], chosen.forces, atol=1e-3)
