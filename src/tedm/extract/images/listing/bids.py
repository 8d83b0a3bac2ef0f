"""Brain imaging data sets in BIDS, where they are plain: anatomical images of subjects, masks among the derivatives.

`sub-01/[ses-1/]anat/sub-01[_ses-1]..._T1w.nii.gz` is an image of the modality T1w. Its mask is a file of the same subject and
session under `derivatives/*/` that ends in `_dseg`, its brain mask one that ends in `_mask` and has `desc-brain`.
Masks in another space, with `space-` in their name, are none of the image. A subject is a patient. The split is read from a
column `split` of `participants.tsv`, where there is one.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable
from pathlib import Path

from tedm.errors import TedmError
from tedm.extract.volumes.read import is_volume, volume_stem
from tedm.foreign import require_plain
from tedm.text import listed

from .found import Found
from .rows import UNSAID, Row

NAME = "dataset_description.json"
_SUFFIX = re.compile(r"_(?P<suffix>[A-Za-z0-9]+)$")


def recognises(folder: Path) -> bool:
    """Whether a folder is such a data set."""
    return (folder / NAME).is_file() and any(path.is_dir() for path in folder.glob("sub-*"))


def rows(folder: Path, channels: tuple[str, ...]) -> Found:
    """Return the subjects of a data set, session by session, as rows.

    Parameters
    ----------
    folder : Path
    channels : tuple of str
        Modalities by the suffixes of their files (`T1w`, `FLAIR`), in the order wanted; empty takes the only one.

    Raises
    ------
    TedmError
        If modalities are to be chosen, or the table of participants cannot be read.
    """
    sessions = [
        session
        for subject in sorted(folder.glob("sub-*"))
        if subject.is_dir()
        for session in (sorted(each for each in subject.glob("ses-*") if each.is_dir()) or [subject])
    ]
    images = {session: _by_suffix(_volumes(session / "anat")) for session in sessions}
    there = sorted({suffix for files in images.values() for suffix in files})
    if not channels and len(there) > 1:
        raise TedmError(f"{folder}: subjects have {listed(there)}; say with --channels which one, or which are channels")
    wanted = list(channels) or there
    splits = _splits(folder / "participants.tsv")
    # by their names alone: a folder of derivatives may hold a hundred thousand files
    derived = sorted(path for path in (folder / "derivatives").rglob("sub-*.nii*") if "_space-" not in path.name)
    problems: list[str] = []
    remarks: list[str] = []
    found = []
    for session, files in images.items():
        entities = [part for part in (session.parent.name, session.name) if part.startswith(("sub-", "ses-"))]
        name, subject, where = "_".join(entities), entities[0], str(session.relative_to(folder))
        chosen = [
            [path for suffix, paths in files.items() if suffix.lower() == want.lower() for path in paths] for want in wanted
        ]
        if not any(chosen):
            remarks.append(f"{folder}: {where} has no {listed(wanted) or 'image in anat/'}, and is left out")
            continue
        if odd := [(want, paths) for want, paths in zip(wanted, chosen, strict=True) if len(paths) != 1]:
            want, paths = odd[0]
            what = f"{len(paths)} files of {want} ({listed(path.name for path in paths)})" if paths else f"no {want}"
            problems.append(f"{where}: {what}; one of each modality is wanted: name the files in a manifest.csv")
            continue
        own = [path for path in derived if path.name.startswith(f"{name}_")]
        masks = [path for path in own if volume_stem(path).endswith("_dseg")]
        brains = [path for path in own if re.search(r"(desc|label)-brain.*_mask$", volume_stem(path))]
        if len(masks) > 1 or len(brains) > 1:
            problems.append(
                f"{where}: several masks ({listed(path.name for path in (masks if len(masks) > 1 else brains))}); "
                "name the files in a manifest.csv"
            )
            continue
        image, *more = (paths[0] for paths in chosen)
        mask, brain = (paths[0] if paths else None for paths in (masks, brains))
        split = splits.get(subject, "train" if mask and not splits else "")
        if splits and subject not in splits:
            remarks.append(f"{folder}: {subject} is not in participants.tsv, and is of no split")
        unsaid = UNSAID - {"group"} - ({"split"} if splits else set())
        found.append(Row(where, name, image, mask, split, subject, subject, folder.resolve().name, unsaid, tuple(more), brain))
    called = tuple(wanted) if channels or len(wanted) > 1 else ()
    return Found(folder, found, problems, called, remarks, is_data_set=True)


def _volumes(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_file() and is_volume(path)) if folder.is_dir() else []


def _by_suffix(paths: Iterable[Path]) -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = {}
    for path in paths:
        if matched := _SUFFIX.search(volume_stem(path)):
            found.setdefault(matched["suffix"], []).append(path)
    return found


def _splits(table: Path) -> dict[str, str]:
    """Return the split of each subject, where the table of participants has such a column."""
    if not table.is_file():
        return {}
    try:
        require_plain(table)
        with table.open(newline="", encoding="utf-8-sig") as file:
            lines = list(csv.DictReader(file, delimiter="\t"))
    except (OSError, ValueError, csv.Error) as error:
        raise TedmError(f"{table}: cannot be read ({error}); save it as UTF-8, with tabs") from None
    return {
        line["participant_id"]: line["split"].strip().replace("n/a", "")
        for line in lines
        if line.get("participant_id") and line.get("split") is not None
    }
