"""Scans a folder of submissions: zips and folders from candidates, none of them trusted.

A broken entry becomes one `Received` with its problem and never ends the scan; only a fault of
this machine does. Nothing in a submission is executed, and no link is followed. The code itself
is read later, when it is frozen.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from archprep.content import catalog
from archprep.core.errors import UsageError
from archprep.interview.kits import manifest, signing_key
from archprep.interview.model import Received
from archprep.interview.submission_rules import is_ignored
from archprep.interview.submissions import candidates, slugs
from archprep.interview.submissions.entry_reader import EntryReader
from archprep.interview.text import shown
from archprep.workspace.folder import MARKER


def scan(folder: Path, work: Path, known: Sequence[Received] = ()) -> list[Received]:
    """Return what each candidate submitted, by source.

    Of several submissions of one kit by one person, the last one counts. Zips are unpacked below
    `work`, a new or empty folder, which must last as long as what is returned. Candidates among
    the `known` keep their slugs. UsageError if the folder contains no submissions.
    """
    paths = _visible(folder)
    reader = EntryReader(work, {e.id: e for e in catalog.load_all()}, signing_key.load())
    entries = [entry for path in paths for entry in reader.read_all(path)]
    if all(entry.is_unrelated for entry in entries):
        raise _no_submissions(folder, "nothing in it is a kit or a workspace, zipped or not")
    last = candidates.last_of_each(entries)
    named = zip(last, slugs.assigned(last, known), strict=True)
    return [entry.received(slug) for entry, slug in named]


def _visible(folder: Path) -> list[Path]:
    try:
        names = sorted(os.listdir(folder))  # noqa: PTH208 - names may not be valid text
    except OSError as error:
        raise UsageError(
            f"The submissions in {shown(folder)} cannot be read: {error.strerror}.",
            tip="Pass the folder that contains them.",
        ) from error
    if manifest.NAME in names or MARKER in names:
        raise UsageError(
            f"{shown(folder)} is itself a kit or a workspace.",
            tip="Pass its parent folder: each zip or folder there is one submission.",
        )
    visible = [folder / name for name in names if not is_ignored(name)]
    if not visible:
        raise _no_submissions(folder, "it is empty")
    return visible


def _no_submissions(folder: Path, why: str) -> UsageError:
    return UsageError(
        f"{shown(folder)} contains no submissions: {why}.",
        tip="Put what each candidate sent there, as a zip or a folder.",
    )
