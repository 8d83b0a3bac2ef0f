"""A volume's files, checked against each other before any work: what it is, how it is cropped, which labels its slices show."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tedm.errors import TedmError
from tedm.extract.images.geometry import side_problem
from tedm.extract.images.listing.rows import Row
from tedm.extract.images.read import is_volume
from tedm.extract.volumes.header import VolumeHeader
from tedm.extract.volumes.planes import oriented
from tedm.extract.volumes.read import read_header, shape_problem
from tedm.store import Slice, Volume
from tedm.store.volumes.volume import NO_SLICE

from .decoded import decode, labels_in
from .options import VolumeOptions
from .scaling import brain_voxels


@dataclass(frozen=True)
class CheckedVolume:
    """What a row's files are together.

    Parameters
    ----------
    volume : Volume or None
        None if something is wrong with its files.
    headers : tuple of VolumeHeader
        One for each channel; empty for a volume that was not opened.
    labels : array of shape (x, y, z), or None
        The class values of its mask, in the file's axes.
    box : Slice
        The part of its slices that is shown, of no index.
    problems : list of str
    remarks : list of str
        What was assumed, and what is odd.
    """

    volume: Volume | None = None
    headers: tuple[VolumeHeader, ...] = ()
    labels: NDArray[np.int32] | None = None
    box: Slice = NO_SLICE
    problems: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


def check_volume(row: Row, options: VolumeOptions, known: Volume | None = None) -> CheckedVolume:
    """Open the files of a row, and compare their shapes and affines.

    Parameters
    ----------
    row : Row
        Whose image is a volume.
    options : VolumeOptions
    known : Volume or None
        The volume as a store has it: then only its mask is opened.
    """
    problems: list[str] = []
    remarks: list[str] = []
    headers: list[VolumeHeader] = []
    volume, box = known, NO_SLICE
    if volume is None:
        headers = list(_headers(row, options, problems, remarks))
        if problems:
            return CheckedVolume(problems=problems)
        first = headers[0]
        axes, flips = oriented(first.affine, options.axis)
        volume = Volume(row.name, first.shape, first.affine, axes, flips, first.kind, first.qform_code, first.sform_code)
    labels = _labels(row.mask, volume, problems, "mask") if row.mask else None
    if known is None:
        brain = _labels(row.brain, volume, problems, "brain mask") if row.brain else None
        if brain is not None and not (brain > 0).any():
            problems.append(f"brain mask {row.brain}: it holds nothing but 0; a brain mask is 1 where the brain is")
        if not problems:
            try:
                box = _look_inside(row, options, volume, headers, brain, remarks)
                shown = (box.height, box.width) if box.height else volume.slice_size
                if problem := side_problem(*shown):
                    problems.append(f"image {row.image}: {problem}")
            except TedmError as error:
                problems.append(str(error))
    if problems:
        return CheckedVolume(problems=problems)
    of_channels = tuple(header for header in headers for _ in range(header.channels))
    return CheckedVolume(volume, of_channels, labels, box, problems, remarks)


def _headers(row: Row, options: VolumeOptions, problems: list[str], remarks: list[str]) -> Iterator[VolumeHeader]:
    """Yield the header of each file of the image."""
    first: VolumeHeader | None = None
    for path in row.files:
        if not is_volume(path):
            problems.append(f"image {path}: no volume, and {row.image} is one; the modalities of a patient are of one kind")
            continue
        try:
            header = read_header(path, channels=options.channels_in_file and not row.more)
        except TedmError as error:
            problems.append(f"image {error}")
            continue
        remarks += [f"{path}: {remark}" for remark in header.remarks]
        if first is None:
            first = header
        elif problem := shape_problem(header, str(path), first, str(row.image)):
            problems.append(f"image {problem}")
        yield header


def _labels(path: Path, volume: Volume, problems: list[str], what: str) -> NDArray[np.int32] | None:
    try:
        if not is_volume(path):
            raise TedmError(f"{path}: no volume, and its image is one; save it in the image's format")
        return labels_in(path, volume)
    except TedmError as error:
        problems.append(f"{what} {error}")
        return None


def _look_inside(
    row: Row,
    options: VolumeOptions,
    volume: Volume,
    headers: Sequence[VolumeHeader],
    mask: NDArray[np.int32] | None,
    remarks: list[str],
) -> Slice:
    """Return the part of each slice that is shown, the same for all slices of a volume; say which numbers are not finite."""
    box_of_nonzero = options.crop == "brain" and options.brain == "nonzero"
    brain: NDArray[np.bool_] | None = None
    if box_of_nonzero or any(np.dtype(header.mode).kind == "f" for header in headers):
        odd: dict[Path, int] = {}
        count: dict[Path, int] = {}
        for each in decode(row.files, headers):
            odd[each.path] = odd.get(each.path, 0) + int((~np.isfinite(each.voxels)).sum())
            count[each.path] = count.get(each.path, 0) + each.voxels.size
            if box_of_nonzero:
                inside = brain_voxels([each.voxels], None, "nonzero")
                brain = inside if brain is None or inside is None else brain | inside
        if empty := [path for path, voxels in odd.items() if voxels == count[path]]:
            raise TedmError(f"image {empty[0]}: all of its voxels are NaN or infinite; save it again")
        remarks += [
            f"{path}: {voxels} of {count[path]} voxels are NaN or infinite; they become black"
            for path, voxels in odd.items()
            if voxels
        ]
    height, width = volume.slice_size
    if options.crop is None:
        return NO_SLICE
    if isinstance(options.crop, int):
        side = options.crop
        return Slice(-1, 0, (height - side) // 2, (width - side) // 2, side, side)
    if not box_of_nonzero:
        if mask is None:
            raise TedmError(f"image {row.image}: --crop brain needs a brain mask (column brainmask), or --brain nonzero")
        brain = mask > 0
    assert brain is not None
    slices = volume.to_slices(brain)
    rows, columns = np.flatnonzero(slices.any(axis=(0, 2))), np.flatnonzero(slices.any(axis=(0, 1)))
    if not len(rows):
        raise TedmError(f"image {row.image}: no voxel of it is brain, so that there is no box around it; look at the file")
    return Slice(-1, 0, int(rows[0]), int(columns[0]), int(rows[-1] - rows[0]) + 1, int(columns[-1] - columns[0]) + 1)
