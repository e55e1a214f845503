"""Take a universal interatomic potential to a better DFT functional."""

from __future__ import annotations
