"""Whether the numbers of volumes can become intensities, told from headers; and what those of training patients are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from tedm.errors import TedmError
from tedm.extract.images.entry import ManifestEntry
from tedm.extract.volumes.header import VolumeHeader
from tedm.store.volumes.normalisation import Normalisation
from tedm.text import listed

from .decoded import NO_BRAIN_MASK, brain_of, modalities_of
from .opened import range_of
from .scaling import Moments


def volume_problems(
    entries: Sequence[ManifestEntry],
    headers: Mapping[str, tuple[VolumeHeader, ...]],
    intensity_range: tuple[float, float] | None,
    normalisation: Normalisation | None,
    channels: int,
) -> list[str]:
    """Return why volumes cannot be the backbone's images, a line for each volume.

    Parameters
    ----------
    entries : sequence of ManifestEntry
        Pictures among them are left out.
    headers : mapping of str to tuple of VolumeHeader
        By the volume's name, one for each channel; volumes that were not opened are left out.
    intensity_range, normalisation
        How numbers become intensities.
    channels : int
        Of the backbone.

    Raises
    ------
    TedmError
        If black and white are given, and are to be taken from the voxels as well.
    """
    first, problems = first_slices(entries), []
    if first and normalisation is not None and intensity_range is not None:
        low, high = intensity_range
        raise TedmError(
            f"--intensity-range={low:g},{high:g} says what black and white are, and --normalise {normalisation.method} takes "
            "them from the voxels: leave out one of them"
        )
    for name, entry in first.items():
        of = headers.get(name)
        if of is None:
            continue
        if len(of) != channels and (len(of), channels) != (1, 3):
            problems.append(
                f"{listed(entry.files)}: {len(of)} channel{'s' * (len(of) != 1)}, and the backbone takes {channels}; name "
                + ("as many with --channels" if len(of) > channels else "a column for each with --channels")
                + ", or use a backbone of as many channels as there are"
            )
        elif normalisation is None:
            for header in of:
                try:
                    range_of(header.files[0] if len(header.files) == 1 else entry.image, header, intensity_range)
                except TedmError as error:
                    problems.append(str(error))
                    break
        elif normalisation.brain == "mask" and entry.brain is None:
            problems.append(f"{entry.image}: {NO_BRAIN_MASK}")
    return problems


def first_slices(entries: Sequence[ManifestEntry]) -> dict[str, ManifestEntry]:
    """Return one slice of each volume, by the volume's name."""
    found: dict[str, ManifestEntry] = {}
    for entry in entries:
        if entry.volume is not None:
            found.setdefault(entry.volume.name, entry)
    return found


def with_statistics(normalisation: Normalisation, entries: Sequence[ManifestEntry]) -> Normalisation:
    """Return a normalisation by mean and deviation with those of the training patients' brain voxels.

    Volumes are decoded one at a time; each voxel counts once, whatever volume it is in.

    Parameters
    ----------
    normalisation : Normalisation
        Of the method `zscore`.
    entries : sequence of ManifestEntry
        Only those of the split `train` are read.

    Raises
    ------
    TedmError
        If no volume is of the split `train`, one cannot be read, or a modality is of one value.
    """
    training = first_slices([entry for entry in entries if entry.split == "train"])
    if not training:
        raise TedmError(
            "--normalise zscore takes mean and deviation from training patients, and no volume is of the split train; "
            "give some a split, or use --normalise quantile"
        )
    moments: list[Moments] = []
    for entry in training.values():
        modalities = modalities_of(entry)
        brain = brain_of(entry, modalities, normalisation.brain)
        own = [Moments.of(each.voxels, brain, each.path) for each in modalities]
        if moments and len(moments) != len(own):
            raise TedmError(f"{entry.image}: {len(own)} channels, and other volumes have {len(moments)}; make them alike")
        moments = [one + other for one, other in zip(moments, own, strict=True)] if moments else own
    flat = [at for at, one in enumerate(moments) if not one.deviation > 0]
    if flat:
        raise TedmError(f"channel {flat[0]} of all training volumes is of one value; look at the files and brain masks")
    return replace(
        normalisation,
        means=tuple(one.mean for one in moments),
        deviations=tuple(one.deviation for one in moments),
        patients=tuple(sorted({entry.group for entry in training.values()})),
    )
