"""Materials shared out among training, validation and test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nextrung.schemas.base import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nextrung.schemas.dataset import SplitSettings
    from nextrung.schemas.frames import Frames


def split_materials(frames: Frames, settings: SplitSettings) -> NDArray[np.str_]:
    """Assign every frame to a split, all frames of a material to the same.

    Parameters
    ----------
    frames : Frames
        Frames of all materials.
    settings : SplitSettings
        Shares and seed.

    Returns
    -------
    ndarray of str, shape (n_frames,)
        ``train``, ``val`` or ``test``.

    Raises
    ------
    InputError
        If the materials are too few for the shares, or too few hold the elements
        that training must know.

    Notes
    -----
    Validation and test have ``int(share * n_materials)`` materials, the sizes of the
    paper, and training the rest. Where training must know every element, materials
    are drawn for test and validation in shuffled order, passing over those that are
    the last to hold one of their elements.
    """
    names, material_of_frame = np.unique(frames.material_ids, return_inverse=True)
    n_held_out = {
        name: _size(share, len(names), name)
        for name, share in (("test", settings.test), ("val", settings.val))
    }
    order = np.random.default_rng(settings.seed).permutation(len(names))
    spare = _Spare(frames, material_of_frame, len(names))
    splits = np.full(len(names), "train", dtype="U5")
    waiting = iter(order.tolist())
    for name, size in n_held_out.items():
        for _ in range(size):
            for material in waiting:
                if not settings.keep_elements_in_train or spare.release(material):
                    splits[material] = name
                    break
            else:
                raise InputError(
                    f"the {name} split cannot be filled: too few of the {len(names)} "
                    "materials can be spared without losing an element from training"
                )
    return splits[material_of_frame]


class _Spare:
    """How often training holds each element."""

    def __init__(
        self, frames: Frames, material_of_frame: NDArray[np.int64], n_materials: int
    ) -> None:
        self.holds = np.zeros((n_materials, 256), dtype=bool)
        self.holds[material_of_frame[frames.frame_of_site], frames.atomic_numbers] = (
            True
        )
        self.n_materials = self.holds.sum(axis=0)

    def release(self, material: int) -> bool:
        """Take a material out of training, unless that would lose an element."""
        held = self.holds[material]
        if (self.n_materials[held] == 1).any():
            return False
        self.n_materials[held] -= 1
        return True


def _size(share: float, n_materials: int, name: str) -> int:
    """Count the materials of a split, which must not be empty."""
    size = int(share * n_materials)
    if share > 0 and size == 0:
        raise InputError(
            f"the {name} split is empty: {share:g} of {n_materials} materials is less "
            "than one"
        )
    return size
