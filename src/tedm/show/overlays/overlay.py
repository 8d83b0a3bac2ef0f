"""A mask drawn over its image at the image's own size: every class with a light fill and an outline.

Outlines lie inside the regions, so that a pixel outside of all classes is the image's own. They grow with the image, or they
could not be seen on a large one.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

FILL = 0.25  # how much of a pixel's colour is the class's
LINES = 350  # an outline is one pixel wide for each so many pixels of the shorter side


def overlay(image: NDArray[np.uint8], mask: NDArray[np.uint8], colours: Sequence[str]) -> NDArray[np.uint8]:
    """Draw the classes of a mask over an image.

    Parameters
    ----------
    image : array of shape (height, width) or (height, width, 3)
        Grey or RGB.
    mask : array of shape (height, width)
        Class indices; the first class is the background and is not drawn, nor is what is no index.
    colours : sequence of str
        The colour of each class as "#rrggbb".

    Returns
    -------
    array of shape (height, width, 3)

    Raises
    ------
    ValueError
        If they are not of one size.

    Examples
    --------
    >>> overlay(np.full((3, 3), 100, np.uint8), np.eye(3, dtype=np.uint8), ["#000000", "#ff8000"])[0, :2].tolist()
    [[255, 128, 0], [100, 100, 100]]
    """
    from scipy import ndimage  # a quarter of a second to import, and few masks are drawn

    if image.shape[:2] != mask.shape:
        raise ValueError(f"an image of {image.shape[:2]} and a mask of {mask.shape} pixels")
    drawn = np.array(image) if image.ndim == 3 else np.repeat(image[..., np.newaxis], 3, axis=2)
    width = max(1, round(min(mask.shape) / LINES))
    known = np.where(mask < len(colours), mask, 0)
    boxes = ndimage.find_objects(known)
    for index in (int(each) for each in np.unique(known) if each):
        box = boxes[index - 1]
        inside, colour = known[box] == index, np.frombuffer(bytes.fromhex(colours[index].removeprefix("#")), np.uint8)
        part = drawn[box]
        part[inside] = np.rint((1 - FILL) * part[inside] + FILL * colour.astype(np.float32))
        inner = ndimage.minimum_filter(inside.astype(np.uint8), 2 * width + 1, mode="constant", cval=0)
        part[inside & (inner == 0)] = colour
    return drawn
