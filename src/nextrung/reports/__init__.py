"""What is shown: documents in, figures, tables and HTML out."""

from __future__ import annotations
