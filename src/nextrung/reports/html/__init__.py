"""HTML elements, and how models and quantities are shown."""

from __future__ import annotations
