"""Users' files, from which no code runs and whose size is bounded."""

from __future__ import annotations
