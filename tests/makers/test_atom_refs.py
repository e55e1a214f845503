from __future__ import annotations

from typing import Any

import pytest

from nextrung.adapters.files.artifacts import artifact_path
from nextrung.adapters.files.frames import read_frames
from nextrung.compute.atom_refs import fit_atom_refs


def test_refitted_references_are_those_of_the_training_frames(
    documents: dict[str, Any],
) -> None:
    frames = read_frames(artifact_path(documents["dataset"].frames))

    fit = fit_atom_refs(frames.split("train"))

    assert documents["atom_refs/refit"].atom_refs == pytest.approx(fit.energies)


def test_residual_references_are_the_previous_ones_and_the_shift(
    documents: dict[str, Any],
) -> None:
    residual = documents["atom_refs/residual"]

    for symbol, energy in residual.atom_refs.items():
        shift = residual.fit.energies[symbol]
        assert energy == pytest.approx(residual.previous[symbol] + shift)
        assert residual.shift[symbol] == pytest.approx(shift)


def test_elements_without_training_frames_have_no_reference(
    documents: dict[str, Any],
) -> None:
    assert set(documents["atom_refs/refit"].atom_refs) == {"Mg", "O"}
