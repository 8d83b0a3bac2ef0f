"""Label maps and maps of numbers as files in a volume's own geometry.

A file has the shape, axes and affine of the volume's, so that it lies upon the image in any viewer, and the same bytes whenever
it is written. NIfTI's codes are kept. Where both are 0 (unknown) and the affine is the one that readers assume then, they stay
0. Any other affine would be lost, and is written as an sform: of code 2 (aligned to something) for NIfTI, with both codes 1 (in
the scanner's space) for what was no NIfTI. Affines that 32 bits cannot hold, and axes of more than 32767 voxels, make it
NIfTI-2.

Names of classes lie beside a label map, in a text file that ITK-SNAP reads (Segmentation, Import Label Descriptions).
"""

from __future__ import annotations

import colorsys
import gzip
import io
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tedm.files import write_whole
from tedm.names import file_of
from tedm.packages import package
from tedm.store.volumes.volume import Volume
from tedm.text import shown

from .space import apart, tolerance

MapKind = Literal["nifti", "nrrd"]
ENDINGS: dict[MapKind, str] = {"nifti": ".nii.gz", "nrrd": ".nrrd"}
# What writes each kind: a module, and the extra that brings it.
_WRITERS = {"nifti": ("nibabel", "volumes"), "nrrd": ("nrrd", "volumes"), "dicom-seg": ("highdicom", "dicom")}
LABELS = "-labels.txt"
NO_NAMES: Mapping[int, str] = MappingProxyType({})
REMEDY = "make room; what was written before is whole"
MOST_NIFTI1 = 2**15 - 1  # voxels along an axis
MOST_CODE = 5  # of NIfTI; a store from elsewhere may hold any number
_UNSIGNED, _SIGNED = (np.uint8, np.uint16, np.uint32), (np.int16, np.int32)


def require_writers(kinds: Iterable[str], *, what: str) -> None:
    """Refuse, before the work, kinds of files whose packages are not installed.

    Parameters
    ----------
    kinds : iterable of {"nifti", "nrrd", "dicom-seg"}
    what : str
        What is to be written, for the message: "writing the masks of scans", say.

    Raises
    ------
    TedmError
        Which says what to install.
    """
    for kind in kinds:
        module, extra = _WRITERS[kind]
        package(module, extra, what)


def volume_files_written(name: str, *, like: MapKind, named: bool = False, maps: Sequence[str] = ()) -> list[str]:
    """Return what `write_label_map` and `write_map` will write of a volume; `named` is whether classes have names.

    Examples
    --------
    >>> volume_files_written("a", like="nrrd", named=True, maps=["entropy"])
    ['a.nrrd', 'a-labels.txt', 'a-entropy.nii.gz']
    """
    return [name + ENDINGS[like], *[name + LABELS] * named, *(f"{name}-{each}{ENDINGS['nifti']}" for each in maps)]


def write_label_map(
    folder: Path,
    volume: Volume,
    labels: NDArray[np.integer[Any]],
    *,
    class_names: Mapping[int, str] = NO_NAMES,
    class_colours: Mapping[int, str] = NO_NAMES,
    like: MapKind,
) -> Path:
    """Write a label map as `NAME.nii.gz` or `NAME.nrrd`.

    Parameters
    ----------
    folder : Path
        Where to; it exists.
    volume : Volume
        Whose shape, affine and codes the file gets.
    labels : array of shape volume.shape
        Class values, in the file's own axes; written as the smallest unsigned type that holds them, signed if one is negative.
    class_names : mapping of int to str
        Names of class values; where there are some, they are written to `NAME-labels.txt`.
    class_colours : mapping of int to str
        Colours of class values as "#rrggbb"; others get one that differs from their neighbours'.
    like : {"nifti", "nrrd"}
        The kind of file.

    Returns
    -------
    Path
        The label map.

    Raises
    ------
    TedmError
        If it cannot be written.
    """
    if labels.shape != volume.shape or labels.dtype.kind not in "ui":
        raise ValueError(f"labels of shape {labels.shape} and type {labels.dtype}; integers of shape {volume.shape} are needed")
    low, high = int(labels.min()), int(labels.max())
    fitting = (
        dtype for dtype in (_SIGNED if low < 0 else _UNSIGNED) if np.iinfo(dtype).min <= low and high <= np.iinfo(dtype).max
    )
    values = labels.astype(next(fitting))
    path = file_of(folder, volume.name, ENDINGS[like])
    content = _nifti(path, volume, values, intent="label") if like == "nifti" else _nrrd(volume, values)
    write_whole(path, content, remedy=REMEDY)
    if class_names:
        write_whole(file_of(folder, volume.name, LABELS), _descriptions(class_names, class_colours).encode(), remedy=REMEDY)
    return path


def write_map(folder: Path, volume: Volume, name: str, values: NDArray[np.floating[Any]]) -> Path:
    """Write numbers of each voxel as `VOLUME-NAME.nii.gz`, float32.

    Parameters
    ----------
    folder : Path
        Where to; it exists.
    volume : Volume
        Whose shape, affine and codes the file gets.
    name : str
        What the numbers are: "probabilities" or "entropy", say.
    values : array of shape volume.shape, or (*volume.shape, classes)
        In the file's own axes.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    TedmError
        If it cannot be written.
    """
    if values.shape[:3] != volume.shape or values.ndim > 4:
        raise ValueError(f"values of shape {values.shape} for a volume of {volume.shape}")
    return _write_floats(file_of(folder, f"{volume.name}-{name}", ENDINGS["nifti"]), volume, values)


def write_modality(folder: Path, volume: Volume, channel: int, values: NDArray[np.floating[Any]]) -> Path:
    """Write one modality of a volume as `VOLUME_0000.nii.gz`, float32; the digits count modalities, as nnU-Net has it.

    Parameters
    ----------
    folder : Path
        Where to; it exists.
    volume : Volume
        Whose shape, affine and codes the file gets.
    channel : int
        From 0 on.
    values : array of shape volume.shape
        In the file's own axes.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    TedmError
        If it cannot be written.
    """
    if values.shape != volume.shape:
        raise ValueError(f"values of shape {values.shape} for a volume of {volume.shape}")
    return _write_floats(file_of(folder, volume.name, f"_{channel:04d}{ENDINGS['nifti']}"), volume, values)


def _write_floats(path: Path, volume: Volume, values: NDArray[np.floating[Any]]) -> Path:
    write_whole(path, _nifti(path, volume, values.astype(np.float32, copy=False)), remedy=REMEDY)
    return path


def _nifti(path: Path, volume: Volume, values: NDArray[Any], *, intent: str = "none") -> bytes:
    """Return the bytes of a NIfTI file."""
    nibabel = package("nibabel", "volumes", str(path))
    image_class, header = nibabel.Nifti1Image, None
    if max(values.shape) <= MOST_NIFTI1:
        header = _header(nibabel.Nifti1Header(), volume)
    if header is None or not _holds(header, volume):
        image_class, header = nibabel.Nifti2Image, _header(nibabel.Nifti2Header(), volume)
    header.set_data_dtype(values.dtype)
    header.set_xyzt_units("mm")
    header.set_intent(intent)
    image = image_class(values, None, header)  # with an affine of its own it would write that one's codes
    file = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", fileobj=file, compresslevel=6, mtime=0) as packed:
        image.to_stream(packed)
    return file.getvalue()


def _header(header: Any, volume: Volume) -> Any:
    """Return a header of NIfTI that says where the volume lies."""
    qform_code, sform_code = (code if 0 <= code <= MOST_CODE else 0 for code in (volume.qform_code, volume.sform_code))
    if volume.kind != "nifti" and not qform_code and not sform_code:
        qform_code = sform_code = 1
    header.set_data_shape(volume.shape)  # an affine that is assumed depends on it
    with np.errstate(all="ignore"):
        header.set_qform(volume.matrix, qform_code)
        header.set_sform(volume.matrix if sform_code else None, sform_code)
        if not _holds(header, volume):
            header.set_sform(volume.matrix, qform_code or 2)
    return header


def _holds(header: Any, volume: Volume) -> bool:
    """Whether readers will find the volume where it is, but for rounding that no voxel notices."""
    with np.errstate(all="ignore"):
        return apart(volume.shape, header.get_best_affine(), volume.matrix) <= 0.1 * tolerance(volume.matrix)


def _nrrd(volume: Volume, values: NDArray[Any]) -> bytes:
    """Return the bytes of a NRRD file, its space left-posterior-superior as 3D Slicer writes it."""
    lps = np.diag([-1.0, -1.0, 1.0]) @ volume.matrix[:3]
    fields = {
        "space": "left-posterior-superior",
        "space directions": lps[:, :3].T,
        "space origin": lps[:, 3],
        "space units": ["mm", "mm", "mm"],
        "kinds": ["domain", "domain", "domain"],
        "encoding": "gzip",
    }
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # the time of day, which is taken out again below
        package("nrrd", "volumes", f"{volume.name}.nrrd").write(file, values, fields, compression_level=6)
    head, end, data = file.getvalue().partition(b"\n\n")
    return b"\n".join(line for line in head.split(b"\n") if not line.startswith(b"#")) + end + data


def _descriptions(class_names: Mapping[int, str], class_colours: Mapping[int, str]) -> str:
    """Return label descriptions as ITK-SNAP reads them: value, red, green, blue, opacity, visible, in the mesh, name."""
    lines = ["# Label descriptions, as ITK-SNAP reads them: value, red, green, blue, opacity, visible, mesh, name"]
    for place, (value, name) in enumerate(sorted(class_names.items())):
        if value in class_colours:
            red, green, blue = bytes.fromhex(class_colours[value].removeprefix("#"))
        else:
            red, green, blue = (round(255 * part) for part in colorsys.hsv_to_rgb(place * 0.618034 % 1, 0.75, 0.95))
        seen = int(value != 0)
        colour = f"{red:>5} {green:>4} {blue:>4}" if seen else f"{0:>5} {0:>4} {0:>4}"
        quoted = shown(name).replace('"', "'")
        lines.append(f'{value:>5} {colour} {seen:>8} {seen:>2} {seen:>2}    "{quoted}"')
    return "\n".join(lines) + "\n"
