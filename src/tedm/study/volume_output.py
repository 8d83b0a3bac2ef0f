"""Label maps of volumes in a folder, in the volumes' own geometry, and what may stand beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from tedm.errors import TedmError
from tedm.extract import LiveFeatures
from tedm.extract.volumes import volume_files_written, write_dicom_seg, write_label_map, write_map
from tedm.heads import Cleaning, Segmenter
from tedm.store import Volume
from tedm.study.volumes import AssembledVolume, WholeVolume

VolumeFormat = Literal["auto", "nifti", "nrrd", "dicom-seg"]
MAPS = ("entropy", "disagreement")


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
    probabilities : bool
        Whether these are written, as floats of four dimensions.
    """

    format: VolumeFormat
    head: Segmenter
    cleaning: Cleaning
    probabilities: bool

    def require(self, volumes: Sequence[Volume], live: LiveFeatures | None, source: str) -> None:
        """Refuse, before the work, DICOM segmentations of what is no DICOM series.

        Raises
        ------
        TedmError
            Which says what can be written.
        """
        if self.format != "dicom-seg":
            return
        others = [volume for volume in volumes if volume.kind != "dicom"]
        if live is None or others or not volumes:
            what = f"{source} is a store" if live is None else f"{others[0].name} is none" if others else "there is no volume"
            raise TedmError(f"--format dicom-seg is for DICOM series, and {what}; leave it out, or name the series")

    def files_of(self, volumes: Sequence[WholeVolume]) -> dict[str, list[str]]:
        """Return the files that are written of each volume, by its name."""
        maps = [*["probabilities"] * self.probabilities, *MAPS]
        named = bool(self.head.class_names)
        return {
            whole.volume.name: [
                *([f"{whole.volume.name}.dcm"] if self.format == "dicom-seg" else []),
                *volume_files_written(whole.volume.name, like=self._like(whole.volume), named=named, maps=maps),
            ]
            for whole in volumes
        }

    def write(self, folder: Path, volume: AssembledVolume, live: LiveFeatures | None) -> Path:
        """Write a volume's mask and maps.

        Returns
        -------
        Path
            The mask's file.
        """
        whole, mask = volume.whole, volume.mask
        if self.cleaning:
            mask = self.cleaning.enlarged(volume.cell)(mask)
        labels = replace(volume, mask=mask).values(self.head.classes)
        for kind in volume.maps:
            write_map(folder, whole.volume, kind, volume.map(kind))
        names = self.head.named_classes
        if self.format == "dicom-seg" and live is not None:
            return write_dicom_seg(folder, whole.volume, labels, source=live.files_of(whole.names[0]), class_names=names)
        return write_label_map(folder, whole.volume, labels, class_names=names, like=self._like(whole.volume))

    def _like(self, volume: Volume) -> Literal["nifti", "nrrd"]:
        if self.format in ("nifti", "nrrd"):
            return self.format
        return "nrrd" if volume.kind == "nrrd" else "nifti"
