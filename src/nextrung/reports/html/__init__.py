"""HTML elements and the style of models."""

from __future__ import annotations
