"""Small models of sevenn's own constructor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

if TYPE_CHECKING:
    from pathlib import Path

#: Elements of the models.
SYMBOLS = ["Na", "Cl", "Li", "F", "Cu", "Mg", "O", "Si", "Ti"]


def write_model(path: Path, seed: int = 0, **changed: Any) -> None:  # noqa: ANN401
    """Write a small model of sevenn's own constructor with seeded random weights."""
    from sevenn._const import model_defaults  # noqa: PLC0415
    from sevenn.model_build import build_E3_equivariant_model  # noqa: PLC0415
    from sevenn.util import chemical_species_preprocess  # noqa: PLC0415

    rng = np.random.default_rng(seed)
    config = {
        "version": "0.13.0",
        "_model_type": "E3_equivariant_model",
        **chemical_species_preprocess(SYMBOLS),
        "cutoff": 4.5,
        "channel": 8,
        "lmax": 1,
        "num_convolution_layer": 3,
        "shift": rng.normal(-5, 2, len(SYMBOLS)).tolist(),
        "scale": 1.3,
        "conv_denominator": 20.0,
        **changed,
    }
    config = {**model_defaults(config), **config}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = build_E3_equivariant_model(config)
    torch.save({"model_state_dict": model.state_dict(), "config": config}, path)
