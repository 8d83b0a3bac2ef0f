"""Pictures of what was predicted: each image with its mask at its own resolution, and a sheet of all.

What is drawn is read back from the file that was written, of volumes some slices of it. Black and white are those that the head
was trained with, so that a picture of 16 bits is seen as the head sees it.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, PngImagePlugin

from tedm.errors import TedmError
from tedm.extract import LiveFeatures
from tedm.extract.images import Rows, from_square, uncropped
from tedm.files import write_whole
from tedm.heads import Segmenter
from tedm.names import as_one, file_of
from tedm.show.overlays.lettering import font, letter_size, with_legend
from tedm.show.overlays.overlay import overlay
from tedm.show.overlays.sheet import contact_sheet
from tedm.store import Features
from tedm.study.masks.colours import colours_of, names_of
from tedm.study.masks.folder import REMEDY
from tedm.study.originals import Originals, eight_bits
from tedm.study.volumes import AssembledVolume

FOLDER, SHEET = "overlays", "contact-sheet"
SLICES, ACROSS = 12, 4  # of a volume
_SIZE = "picture"  # what a file says of the part without the legend


class Overlays:
    """Pictures of some features' images with masks by a head.

    Parameters
    ----------
    features : Features
        Images as the backbone had them are enlarged.
    head : Segmenter
        Whose classes are drawn.
    live : LiveFeatures or None
        The same features, where they are of files: these images are drawn as they are.
    originals : Originals or None
        The files of features that are not, which are drawn where they are known.
    """

    def __init__(
        self, features: Features, head: Segmenter, live: LiveFeatures | None = None, originals: Originals | None = None
    ) -> None:
        self._features, self._live, self._originals = features, live, originals
        self._values = np.array(head.classes)
        self._colours = colours_of(head)
        self._items = list(zip(names_of(head), self._colours, strict=True))[1:]

    def write(self, folder: Path, name: str) -> None:
        """Draw a picture and its mask, which is in the folder, to `overlays/NAME.png` in it."""
        with Image.open(file_of(folder, name, ".png")) as written:
            values = np.asarray(written)
        mask = np.argsort(self._values).astype(np.uint8)[np.searchsorted(np.sort(self._values), values)]
        image = eight_bits(self._image(name))
        self._save(folder, name, Image.fromarray(overlay(image, mask, self._colours)))

    def write_volume(self, folder: Path, volume: AssembledVolume) -> None:
        """Draw slices of a volume, those that show classes if there are any, to `overlays/NAME.png`; pixels are square."""
        chosen = _chosen(volume.mask)
        tiles = [self._tile(volume, number) for number in chosen]
        width, height = tiles[0].size
        across = min(ACROSS, len(tiles))
        whole = Image.new("RGB", (across * width, -(-len(tiles) // across) * height))
        for at, tile in enumerate(tiles):
            whole.paste(tile, (at % across * width, at // across * height))
        self._save(folder, volume.name, whole)

    def finish(self, folder: Path, names: Sequence[str]) -> None:
        """Draw the sheet of some images whose overlays are there."""
        pictures = [(name, partial(_without_legend, file_of(folder / FOLDER, name, ".png"))) for name in names]
        write_whole(folder / sheet_file(), _png(contact_sheet(pictures, self._items)), remedy=REMEDY)

    def _save(self, folder: Path, name: str, picture: Image.Image) -> None:
        size = PngImagePlugin.PngInfo()
        size.add_text(_SIZE, f"{picture.width} {picture.height}")
        whole = with_legend(picture, self._items, letter_size(*picture.size))
        write_whole(file_of(folder / FOLDER, name, ".png"), _png(whole, size), remedy=REMEDY)

    def _image(self, name: str) -> Rows:
        """Return an image at its own size, in [0, 1]."""
        if self._live is not None:
            return self._live.rows(name)
        if self._originals is not None and (rows := self._originals.rows(name)) is not None:
            return rows
        labels, settings = self._features.labels, self._features.settings
        at = labels.slice_of(name)
        size = (at.height, at.width) if at.height else labels.original_sizes[labels.index(name)]
        return from_square(self._features.image(name), size, settings.geometry)

    def _tile(self, volume: AssembledVolume, number: int) -> Image.Image:
        name, (_, down, across) = volume.whole.names[number], volume.spacing
        at = self._features.labels.slice_of(name)
        image = uncropped(eight_bits(self._image(name)), at, volume.mask.shape[1:], np.uint8(0))
        drawn = image.shape[0] * max(1.0, down / across), image.shape[1] * max(1.0, across / down)
        size = round(drawn[1]), round(drawn[0])
        enlarged = Image.fromarray(image).resize(size, Image.Resampling.BILINEAR)
        mask = Image.fromarray(volume.mask[number]).resize(size, Image.Resampling.NEAREST)
        tile = Image.fromarray(overlay(np.asarray(enlarged), np.asarray(mask), self._colours))
        letters = letter_size(*size)
        where = {"fill": "#ffffff", "stroke_fill": "#000000", "stroke_width": max(1, letters // 8)}
        ImageDraw.Draw(tile).text((letters // 2, letters // 2), str(at.index), font=font(letters), **where)  # type: ignore[arg-type]
        return tile


def sheet_file() -> str:
    """Return the file of the sheet in the folder of masks."""
    return f"{FOLDER}/{SHEET}.png"


def overlay_files(names: Sequence[str]) -> dict[str, str]:
    """Return the file of each image's overlay in the folder of masks.

    Raises
    ------
    TedmError
        If one of them is called as the sheet is.
    """
    for name in names:
        if as_one(name) == as_one(SHEET):
            raise TedmError(
                f"image {name!r} would become {sheet_file()}, the sheet of all images; extract it under another name (a column "
                "`name`), or leave out --overlay"
            )
    return {name: f"{FOLDER}/{name}.png" for name in names}


def with_overlays(files: Mapping[str, list[str]]) -> dict[str, list[str]]:
    """Return the files of each image, and its overlay."""
    overlays = overlay_files(list(files))
    return {name: [*its, overlays[name]] for name, its in files.items()}


def _chosen(mask: NDArray[np.uint8]) -> list[int]:
    """Return up to `SLICES` slices, spread evenly over those that show a class but the background, or over all."""
    there = np.flatnonzero(mask.any(axis=(1, 2)))
    first, last = (int(there[0]), int(there[-1])) if len(there) else (0, len(mask) - 1)
    count = min(SLICES, last - first + 1)
    return [first + round((last - first) * at / max(1, count - 1)) for at in range(count)]


def _png(picture: Image.Image, size: PngImagePlugin.PngInfo | None = None) -> bytes:
    out = io.BytesIO()
    picture.save(out, format="PNG", pnginfo=size, compress_level=3)
    return out.getvalue()


def _without_legend(path: Path) -> Image.Image:
    try:
        with Image.open(path) as whole:
            width, height = (int(each) for each in str(whole.info[_SIZE]).split())
            return whole.convert("RGB").crop((0, 0, width, height))
    except (OSError, KeyError, ValueError) as error:
        raise TedmError(f"{path} is no overlay any more ({error}); delete it, and run the same command again") from error
