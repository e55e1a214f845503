from __future__ import annotations

import numpy as np
from pymatgen.core import Lattice, Structure

from nextrung.schemas.frames import Frames
from nextrung.schemas.labels.trajectory import Trajectory


def test_a_trajectory_is_named_after_its_material() -> None:
    frames = Frames.from_structures(
        [Structure(Lattice.cubic(3), ["Po"], [[0, 0, 0]])], ["mp-1"]
    )

    trajectory = Trajectory(frames, np.array([True]), 0.0, np.nan, -3.0)

    assert trajectory.material_id == "mp-1"
