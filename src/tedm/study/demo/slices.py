"""The demo's images: slices of the brain template that comes with nilearn.

The MNI152 template is the average of 152 T1-weighted MR images at 1 mm, with maps of grey and white matter, all inside
nilearn's wheel. A slice is a window of 192 x 192 mm around the brain, so that its pixels are 3 mm at 64 x 64 in every plane. It
is one brain: training and test slices are neighbours, which makes a demonstration and no evaluation.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tedm.errors import TedmError
from tedm.extract.images import to_square_image
from tedm.files import make_folder, write_table

# Positions are voxel indices of the template along the plane's normal. Test slices lie 7 mm from the next training slice.
TRAINING = (30, 50, 70, 90, 110, 130)
TEST = {
    "axial": (37, 43, 57, 63, 77, 83, 97, 103, 117, 123),
    "coronal": (50, 65, 80, 95, 110, 125, 140, 155, 170, 185),
    "sagittal": (44, 56, 68, 80, 92, 104, 116, 128, 140, 152),
}
PRETRAINING = tuple(position for position in range(8, 149) if position not in TEST["axial"])
# Black stays black and white white; below 1, grey and white matter come closer to each other, above, they part.
GAMMAS = (0.5, 0.7, 1.6, 2.2)
NOISE = 0.06  # standard deviation in both channels of the receiver, as a fraction of white

_WINDOW = ((2, 194), (22, 214), (-19, 173))  # first and last (excluded) voxel of the window, in x, y and z


def write_template_slices(folder: Path, *, side: int = 64) -> Path:
    """Write slices for training and test, their masks and a manifest.

    Parameters
    ----------
    folder : Path
        Where `images/`, `masks/` and `manifest.csv` are written; made if it is not there.
    side : int
        Sides of the slices, in pixels.

    Returns
    -------
    Path
        The manifest. Its domains are "axial" (6 training and 10 test slices), "coronal" and "sagittal" (10 test slices each),
        and "contrast+noise" (the axial test slices with other contrast and with noise). Masks hold 0 for background, 1 for
        grey and 2 for white matter. The same call writes the same pixels.

    Raises
    ------
    TedmError
        If nilearn is not installed.
    """
    template = _template()
    rows = []
    planes = [("train", "axial", TRAINING), *(("test", plane, positions) for plane, positions in TEST.items())]
    for split, plane, positions in planes:
        for position in positions:
            image, mask = template.cut(plane, position, side)
            rows.append(_write(folder, f"{plane}-{position:03d}", image, mask, split, plane, f"{plane}-{position:03d}"))
    # NumPy promises the legacy generator's numbers for ever, and those of the new ones only until the next version.
    random = np.random.RandomState(0)
    for index, position in enumerate(TEST["axial"]):
        image, mask = template.cut("axial", position, side)
        real, imaginary = random.standard_normal((2, side, side)) * NOISE
        # The magnitude of a complex signal with noise, as scanners report it: Rician.
        changed = np.hypot(image.astype(np.float64) ** GAMMAS[index % len(GAMMAS)] + real, imaginary).clip(0, 1)
        group = f"axial-{position:03d}"
        rows.append(_write(folder, f"{group}-noise", changed, mask, "test", "contrast+noise", group))
    manifest = folder / "manifest.csv"
    write_table(manifest, [("image", "mask", "split", "group", "domain"), *rows], remedy="name another folder")
    return manifest


def write_pretraining_slices(folder: Path, *, side: int = 64) -> Path:
    """Write the slices for pre-training, without masks: all axial ones with brain in them, but for the test slices.

    Returns
    -------
    Path
        The folder, which then holds nothing but images; the other planes stay out of the backbone's domain.

    Raises
    ------
    TedmError
        If nilearn is not installed.
    """
    make_folder(folder)
    template = _template()
    for position in PRETRAINING:
        _save(folder / f"axial-{position:03d}.png", _bytes(template.cut("axial", position, side)[0]))
    return folder


class _Template(NamedTuple):
    """The window's voxels, indexed x to the right, y to the front, z to the top; values in [0, 1]."""

    t1: NDArray[np.float32]
    grey: NDArray[np.float32]
    white: NDArray[np.float32]

    def cut(self, plane: str, position: int, side: int) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """Cut an image in [0, 1] and a mask of classes, both of shape (side, side); front or top is up."""
        axis = ("sagittal", "coronal", "axial").index(plane)
        at = position - _WINDOW[axis][0]
        t1, grey, white = (
            to_square_image(np.take(volume, at, axis).T[::-1, :, np.newaxis], side, "pad")[..., 0]
            for volume in (self.t1, self.grey, self.white)
        )
        # Averaged before they compete, so that a pixel goes to what most of it is.
        return t1, np.stack([1 - grey - white, grey, white]).argmax(axis=0).astype(np.uint8)


def _template() -> _Template:
    try:
        from nilearn.datasets import load_mni152_gm_template, load_mni152_template, load_mni152_wm_template
    except ImportError as error:
        raise TedmError(f"the demo's brain template comes with nilearn ({error}); pip install 'tedm[demo]'") from None
    return _Template(
        *(
            _window(np.asarray(load(resolution=1).dataobj, np.float32))
            for load in (load_mni152_template, load_mni152_gm_template, load_mni152_wm_template)
        )
    )


def _window(volume: NDArray[np.float32]) -> NDArray[np.float32]:
    inside = tuple(slice(max(0, first), last) for first, last in _WINDOW)
    around = [(max(0, -first), max(0, last - length)) for (first, last), length in zip(_WINDOW, volume.shape, strict=True)]
    return np.pad(volume[inside], around)


def _write(
    folder: Path, name: str, image: NDArray[np.floating], mask: NDArray[np.uint8], split: str, domain: str, group: str
) -> tuple[str, ...]:
    """Write an image and its mask, and return the manifest's row."""
    paths = f"images/{name}.png", f"masks/{name}.png"
    for path, pixels in zip(paths, (_bytes(image), mask), strict=True):
        make_folder((folder / path).parent)
        _save(folder / path, pixels)
    return (*paths, split, group, domain)


def _bytes(image: NDArray[np.floating]) -> NDArray[np.uint8]:
    return np.round(image * 255).astype(np.uint8)


def _save(path: Path, pixels: NDArray[np.uint8]) -> None:
    Image.fromarray(pixels).save(path)
