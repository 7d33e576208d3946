"""Files on this machine: where the package lies, and how a file is replaced."""

from __future__ import annotations

from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]  # src/archprep, or where it is installed
