"""Importance of elements for energy differences, by a decision tree [1]_.

References
----------
.. [1] X. Huang et al., npj Comput. Mater. (2025), doi 10.1038/s41524-025-01796-y,
   equations 4 and 5.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from pymatgen.core import Element

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from nextrung.schemas.alignment import AlignmentSettings
    from nextrung.schemas.frames import Frames


def count_atoms(frames: Frames) -> dict[str, int]:
    """Count the atoms of each element over all frames.

    Parameters
    ----------
    frames : Frames
        Frames of any compositions.

    Returns
    -------
    dict of str to int
        Atoms of each element that occurs, by symbol in the order of atomic number.
    """
    numbers, counts = np.unique(frames.atomic_numbers, return_counts=True)
    return {
        Element.from_Z(int(number)).symbol: int(count)
        for number, count in zip(numbers, counts, strict=True)
    }


def rank_elements(
    frames: Frames, differences: NDArray[np.float64], settings: AlignmentSettings
) -> dict[str, float]:
    """Compute the importance of elements for energy differences.

    Parameters
    ----------
    frames : Frames
        Frames of any compositions.
    differences : ndarray of float, shape (n_frames,)
        Energy difference of each frame in eV/atom.
    settings : AlignmentSettings
        Depth and seed of the decision tree.

    Returns
    -------
    dict of str to float
        Importance of each element that occurs, by symbol; the sum is one unless all
        differences are equal.

    Notes
    -----
    A regression tree is fitted to atomic fractions. The importance of an element is the
    variance removed at the nodes that split on it, weighted by the frames that reach
    them, divided by the total variance removed.
    """
    from sklearn.tree import DecisionTreeRegressor  # noqa: PLC0415 - loads for a second

    numbers, column = np.unique(frames.atomic_numbers, return_inverse=True)
    if len(frames) == 0:
        return {}
    cells = frames.frame_of_site * len(numbers) + column
    counts = np.bincount(cells, minlength=len(frames) * len(numbers))
    fractions = counts.reshape(len(frames), -1) / frames.n_atoms[:, None]
    tree = DecisionTreeRegressor(
        max_depth=settings.max_depth, random_state=settings.seed
    )
    tree.fit(fractions, differences)
    return {
        Element.from_Z(int(number)).symbol: float(importance)
        for number, importance in zip(numbers, tree.feature_importances_, strict=True)
    }


def scale_importances(
    importances: Mapping[str, float], n_atoms: Mapping[str, int], scale: float | None
) -> dict[str, float]:
    """Divide importances by atom counts and scale them.

    Parameters
    ----------
    importances : mapping of str to float
        Importance of each element.
    n_atoms : mapping of str to int
        Atoms of each element.
    scale : float or None
        Factor applied to importance per atom; None scales the largest value to one.

    Returns
    -------
    dict of str to float
        Scaled importance of each element.
    """
    per_atom = {symbol: importances[symbol] / n_atoms[symbol] for symbol in importances}
    if scale is None:
        largest = max(per_atom.values(), default=0)
        scale = 1 / largest if largest else 0
    return {symbol: value * scale for symbol, value in per_atom.items()}
