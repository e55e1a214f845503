"""MACE: prediction, references, training and model files (extra ``mace``)."""

from __future__ import annotations
