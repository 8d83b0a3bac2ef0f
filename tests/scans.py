"""Small volumes of a few patients with their label maps, in files of several kinds, and a study made of them."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import nrrd
import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

CLASSES = (0, 4, 9)
# Left is towards the end of the second axis, and nothing is along an axis of the scanner.
OBLIQUE = np.eye(4)
OBLIQUE[:3, :3] = Rotation.from_euler("xyz", (8, -12, 15), degrees=True).as_matrix() @ np.array(
    [[0.0, -1.25, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, -3.0]]
)
OBLIQUE[:3, 3] = 40, -60.5, 31
# Patients, kinds of file and shapes; p3 came twice.
SCANS = [
    ("one", "p1", "train", ".nii.gz", (13, 11, 5)),
    ("two", "p2", "train", ".nii", (12, 12, 4)),
    ("three", "p3", "test", ".nii.gz", (10, 13, 4)),
    ("again", "p3", "test", ".nii", (11, 10, 3)),
    ("four", "p4", "test", ".nrrd", (12, 9, 4)),
]
QUICK = ["--timesteps", "1,50", "--layout", "native", "--precision", "float32", "--threads", 1, "--device", "cpu"]


def labels_of(shape: tuple[int, int, int], seed: int) -> NDArray[np.uint8]:
    """A label map: two blobs and a speck, no slice like another."""
    rng, grid = np.random.default_rng(seed), np.stack(np.mgrid[: shape[0], : shape[1], : shape[2]], axis=-1)
    labels = np.zeros(shape, np.uint8)
    for value, part, reach in ((4, [0.35, 0.3, 0.4], 3.2), (9, [0.7, 0.6, 0.6], 2.6)):
        centre = np.array(shape) * part + rng.uniform(-0.7, 0.7, 3)
        labels[np.sqrt((((grid - centre) * [1, 1, 1.4]) ** 2).sum(axis=-1)) < reach] = value
    labels[0, 0, 0] = 9
    return labels


def image_of(labels: NDArray[np.uint8], seed: int, strength: float = 1.0) -> NDArray[np.uint8]:
    """An image on which the classes can be told apart, with noise."""
    noise = np.random.default_rng(100 + seed).normal(0, 9, labels.shape)
    return (40 + strength * (70.0 * (labels == 4) + 150.0 * (labels == 9)) + noise).clip(1, 255).astype(np.uint8)


def write_volume(path: Path, voxels: NDArray[Any], affine: NDArray[Any] = OBLIQUE, codes: tuple[int, int] = (1, 2)) -> Path:
    """Write a file of the kind that its name says, with nibabel or pynrrd."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".nrrd":
        fields = {"space": "RAS", "space directions": affine[:3, :3].T, "space origin": affine[:3, 3]}
        nrrd.write(str(path), voxels, fields)
        return path
    image = nib.Nifti1Image(voxels, affine)
    image.header.set_qform(affine, codes[0])
    image.header.set_sform(affine, codes[1])
    nib.save(image, path)
    return path


def voxels_in(path: Path) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """The numbers in a file as they stand there, and its affine, by nibabel or pynrrd."""
    if path.suffix == ".nrrd":
        values, header = nrrd.read(str(path))
        turn = np.diag([-1.0, -1.0, 1.0]) if header["space"] == "left-posterior-superior" else np.eye(3)
        affine = np.eye(4)
        affine[:3, :3], affine[:3, 3] = turn @ header["space directions"].T, turn @ header["space origin"]
        return values, affine
    image = nib.load(path)
    return np.asanyarray(image.dataobj), image.affine


def write_table(path: Path, rows: list[list[str]]) -> Path:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return path


def write_scans(folder: Path) -> Path:
    """Images and label maps of four patients, one of them with two scans; the path of their manifest."""
    rows = [["image", "mask", "split", "patient", "domain"]]
    for seed, (name, patient, split, ending, shape) in enumerate(SCANS):
        labels = labels_of(shape, seed)
        write_volume(folder / "images" / f"{name}{ending}", image_of(labels, seed))
        write_volume(folder / "masks" / f"{name}{ending}", labels)
        rows.append([f"images/{name}{ending}", f"masks/{name}{ending}", split, patient, "here"])
    return write_table(folder / "manifest.csv", rows)


def make_study(folder: Path, checkpoint: Path, invoke: Callable[..., str]) -> Path:
    """A folder with such scans, `store` and the heads `tedm` and `probe` of the two training patients."""
    from tedm.cli import extract, fit

    manifest = write_scans(folder)
    invoke(extract.main, manifest, folder / "store", "--checkpoint", checkpoint, *QUICK)
    for head, method in (("tedm", "tedm"), ("probe", "timestep:50")):
        options = ["--timesteps", "1,50"] if method == "tedm" else []
        invoke(fit.main, folder / "store", folder / head, "--method", method, *options, "--iterations", 120, "--device", "cpu")
    return folder
