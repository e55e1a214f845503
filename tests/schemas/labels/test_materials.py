from __future__ import annotations

import numpy as np
from pymatgen.core import Lattice, Structure

from nextrung.schemas.frames import Frames
from nextrung.schemas.labels.materials import Materials


def test_materials_are_counted_whether_or_not_they_have_an_energy() -> None:
    crystal = Structure(Lattice.cubic(3), ["Po"], [[0, 0, 0]])
    initial = Frames.from_structures([crystal, crystal], ["known", "unknown"])

    assert len(Materials(initial=initial, energies=np.array([-3.0, np.nan]))) == 2
