"""Makes reproducible zip archives."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping

_TIMESTAMP = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip can hold


def zipped(files: Mapping[str, bytes]) -> bytes:
    """Return a zip of these files by path; the same files give the same bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path in sorted(files):
            info = zipfile.ZipInfo(path, _TIMESTAMP)
            info.create_system = 3  # Unix, whose modes these are
            info.external_attr = 0o100644 << 16
            archive.writestr(info, files[path], zipfile.ZIP_DEFLATED, compresslevel=6)
    return buffer.getvalue()
