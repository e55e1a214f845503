from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from nextrung.compute.alignment.pairing import pair_frames
from nextrung.schemas.alignment import Pairing
from nextrung.schemas.base import InputError
from nextrung.schemas.frames import Frames


def make_frames(rows: list[tuple[str, str, int, float]]) -> Frames:
    """Frames of lithium: name, material, atoms, energy per atom."""
    structures = [
        Structure(
            Lattice.cubic(4), ["Li"] * n, np.linspace(0, 0.5, n)[:, None].repeat(3, 1)
        )
        for _, _, n, _ in rows
    ]
    frames = Frames.from_structures(structures, [name for name, *_ in rows])
    return replace(
        frames,
        material_ids=np.array([material for _, material, _, _ in rows]),
        energies=np.array([n * energy for *_, n, energy in rows]),
    )


def test_frames_are_paired_by_id_in_any_order() -> None:
    target = make_frames([("a", "m", 1, -1), ("b", "m", 1, -2), ("c", "m", 1, -3)])
    source = make_frames([("b", "m", 1, -20), ("a", "m", 1, -10)])

    compared, paired = pair_frames(target, source, Pairing.FRAMES)

    assert compared is target
    assert paired.energies[:2].tolist() == [-10, -20]
    assert np.isnan(paired.energies[2])


def test_the_lowest_frames_of_materials_are_paired_per_atom() -> None:
    """A supercell in one functional is the same material in the other."""
    target = make_frames([("a", "m", 1, -1), ("b", "m", 1, -2), ("c", "n", 1, -3)])
    source = make_frames([("x", "m", 2, -10), ("y", "m", 2, -11), ("z", "n", 1, -30)])

    compared, paired = pair_frames(target, source, Pairing.MATERIALS)

    assert compared.frame_ids.tolist() == ["b", "c"]
    assert paired.energies.tolist() == [-11, -30]


def test_a_frame_without_energy_is_never_the_lowest() -> None:
    target = make_frames([("a", "m", 1, np.nan), ("b", "m", 1, -2)])
    compared, _ = pair_frames(target, target, Pairing.MATERIALS)
    assert compared.frame_ids.tolist() == ["b"]


@pytest.mark.parametrize("pairing", list(Pairing))
def test_labels_without_a_common_frame_are_rejected(pairing: Pairing) -> None:
    target = make_frames([("a", "m", 1, -1)])
    source = make_frames([("b", "n", 1, -1)])
    with pytest.raises(InputError, match=f"expected {pairing} of both functionals"):
        pair_frames(target, source, pairing)
