"""SevenNet: prediction, references, training and checkpoints (extra ``sevennet``)."""

from __future__ import annotations
