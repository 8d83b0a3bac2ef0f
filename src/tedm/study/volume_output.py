"""Label maps of volumes in a folder, in the volumes' own geometry, and what may stand beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from tedm.errors import TedmError
from tedm.extract import LiveFeatures
from tedm.extract.images import UNCERTAINTY
from tedm.extract.volumes import (
    require_segmentable,
    require_writers,
    volume_files_written,
    write_dicom_seg,
    write_label_map,
    write_map,
)
from tedm.heads import Cleaning, Segmenter
from tedm.store import Volume
from tedm.study.masks.colours import colours_of
from tedm.study.masks.overlays import Overlays
from tedm.study.volumes import AssembledVolume, WholeVolume
from tedm.text import listed

VolumeFormat = Literal["auto", "nifti", "nrrd", "dicom-seg"]
MAPS = ("entropy", "disagreement")  # which lie in a folder of their own


@dataclass(frozen=True)
class VolumeOutput:
    """How masks of volumes are written.

    Parameters
    ----------
    format : {"auto", "nifti", "nrrd", "dicom-seg"}
        NIfTI gives NIfTI, NRRD gives NRRD and DICOM gives NIfTI, or what is asked for; a DICOM segmentation (DICOM-SEG) needs
        the files of the series.
    head : Segmenter
        Whose classes and names are written.
    cleaning : Cleaning
        What is done to masks, in three dimensions.
    probabilities, uncertainty : bool
        Whether these are written, as floats: probabilities of four dimensions, the classes last.
    overlays : Overlays or None
        What draws slices with their masks, if anything does.
    """

    format: VolumeFormat
    head: Segmenter
    cleaning: Cleaning
    probabilities: bool
    uncertainty: bool = False
    overlays: Overlays | None = None

    def require(self, volumes: Sequence[WholeVolume], live: LiveFeatures | None, source: str) -> None:
        """Refuse, before the work, what could not be written after it.

        Raises
        ------
        TedmError
            If a format is asked for and there is no volume, a package is not installed, or a DICOM segmentation is asked for
            of what is no DICOM series, lacks what a segmentation repeats, or has no class but the background.
        """
        if not volumes:
            if self.format != "auto":
                raise TedmError(f"--format {self.format} is for volumes, and {source} has none; leave it out")
            return
        if self.format == "dicom-seg":
            self._require_series(volumes, live, source)
        # maps are NIfTI, whatever masks are
        require_writers(
            sorted({"nifti", *(self._kind(whole.volume) for whole in volumes)}), what=f"writing the masks of {source}"
        )

    def _require_series(self, volumes: Sequence[WholeVolume], live: LiveFeatures | None, source: str) -> None:
        """Refuse DICOM segmentations of what is no DICOM series, or cannot have one."""
        others = [whole.volume.name for whole in volumes if whole.volume.kind != "dicom"]
        if live is None or others:
            what = f"{source} is a store" if live is None else f"{others[0]} is none"
            raise TedmError(f"--format dicom-seg is for DICOM series, and {what}; leave it out, or name the series")
        background, *others_values = self.head.classes
        if not others_values or background > min(others_values):
            raise TedmError(
                f"--format dicom-seg needs a class beside the background, whose value is the smallest; this head's are "
                f"{listed(self.head.classes)}: leave it out"
            )
        for whole in volumes:
            require_segmentable(live.files_of(whole.names[0]))

    def files_of(self, volumes: Sequence[WholeVolume]) -> dict[str, list[str]]:
        """Return the files that are written of each volume, by its name."""
        return {whole.volume.name: self._files_of(whole.volume) for whole in volumes}

    def _files_of(self, volume: Volume) -> list[str]:
        kind, named, name = self._kind(volume), bool(self.head.class_names), volume.name
        mask = [f"{name}.dcm"] if kind == "dicom-seg" else volume_files_written(name, like=kind, named=named)
        kept, unsure = (
            volume_files_written(name, like="nifti", maps=maps)[1:]
            for maps in (["probabilities"] * self.probabilities, MAPS * self.uncertainty)
        )
        return [*mask, *kept, *(f"{UNCERTAINTY}/{file}" for file in unsure)]

    def write(self, folder: Path, volume: AssembledVolume, live: LiveFeatures | None) -> Path:
        """Write a volume's mask and maps; the folder `uncertainty` in this one is there if its maps are asked for.

        Returns
        -------
        Path
            The mask's file.
        """
        whole, mask = volume.whole, volume.mask
        if self.cleaning:
            mask = self.cleaning.enlarged(volume.cell)(mask)
        cleaned = replace(volume, mask=mask)
        labels = cleaned.values(self.head.classes)
        if self.overlays is not None:
            self.overlays.write_volume(folder, cleaned)
        for name in volume.maps:
            write_map(folder / UNCERTAINTY if name in MAPS else folder, whole.volume, name, volume.map(name))
        names, kind = self.head.named_classes, self._kind(whole.volume)
        if kind != "dicom-seg":
            colours = dict(zip(self.head.classes, colours_of(self.head), strict=True))
            return write_label_map(folder, whole.volume, labels, class_names=names, class_colours=colours, like=kind)
        if live is None:
            raise ValueError("a DICOM segmentation needs the files of the series; see `require`")
        # all classes: one that is nowhere in this volume is a segment without pixels
        every = {value: names.get(value, "") for value in self.head.classes}
        return write_dicom_seg(folder, whole.volume, labels, source=live.files_of(whole.names[0]), class_names=every)

    def _kind(self, volume: Volume) -> Literal["nifti", "nrrd", "dicom-seg"]:
        if self.format == "auto":
            return "nrrd" if volume.kind == "nrrd" else "nifti"
        return self.format
