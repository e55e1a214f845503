"""The command that labels structures, and the codes that it runs."""

from __future__ import annotations
