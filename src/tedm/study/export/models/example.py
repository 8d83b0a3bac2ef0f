"""The lines of Python that use a model's ONNX file, for its README: onnxruntime, NumPy and Pillow, and nothing of tedm."""

from __future__ import annotations

from tedm.heads import Segmenter
from tedm.study.export.models.described import NOISE, ONNX

NOISE_LINES = r"""import hashlib
import numpy as np
from scipy.special import ndtri

def noise(name, seed, timestep, draw, shape):
    text = f"per-image\0{seed}\0{timestep}\0{draw}\0{name}".encode()
    key = int.from_bytes(hashlib.blake2b(text, digest_size=16).digest(), "little")
    bits = np.random.Philox(key=key).random_raw(int(np.prod(shape))) >> np.uint64(11)
    return ndtri((bits + 0.5) * 2.0**-53).reshape(shape).astype("float32")
"""


def noise_lines(head: Segmenter) -> str:
    """Return Python that draws the noise of an image by its name; empty where noise is no function of that."""
    return NOISE_LINES if head.settings.noise == "per-image" else ""


def example_lines(head: Segmenter) -> str:
    """Return Python that segments an image.

    Of pictures it begins with the file `scan.png`; of slices of volumes, whose intensities are taken from the whole volume,
    with a square in [0, 1] of shape (channels, size, size), `scan.npy`.
    """
    settings, timesteps = head.settings, list(head.method.timesteps)
    lines = ["import numpy as np, onnxruntime", "from PIL import Image", "", 'name = "scan"', *_image_lines(head)]
    inputs = ['"image": image[None]']
    if settings.noise == "per-image":
        seed = settings.noise_seed
        lines.append(
            f"drawn = [[noise(name, {seed}, t, d, image.shape) for d in range({settings.draws})] for t in {timesteps}]"
        )
        inputs.append('"noise": np.array(drawn)')
    elif settings.noise == "shared":
        inputs.append(f'"noise": np.load("{NOISE}")')
    lines += [
        f'session = onnxruntime.InferenceSession("{ONNX}")',
        f'(probabilities,) = session.run(["probabilities"], {{{", ".join(inputs)}}})',
        f"mask = np.array({list(head.classes)})[probabilities[0].argmax(0)]  # of shape ({settings.image_size}, "
        f"{settings.image_size}), with the values of the classes",
        'np.save("mask.npy", mask)',
    ]
    return "\n".join(lines) + "\n"


def is_of_pictures(head: Segmenter) -> bool:
    """Whether the head segments pictures whose intensities need nothing but their file."""
    settings = head.settings
    return (
        settings.axis is None
        and settings.normalisation is None
        and settings.image_channels in (1, 3)
        and not settings.channel_names
    )


def _image_lines(head: Segmenter) -> list[str]:
    settings, size = head.settings, head.settings.image_size
    if not is_of_pictures(head):
        shape = f"({settings.image_channels}, {size}, {size})"
        return ['image = np.load(f"{name}.npy").astype("float32")  # of shape ' + f"{shape}, in [0, 1]"]
    lines = ['picture = np.asarray(Image.open(f"{name}.png"))']
    if settings.image_channels == 3:
        lines = ['picture = np.asarray(Image.open(f"{name}.png").convert("RGB"))']
    if settings.intensity_range is None:
        lines.append('picture = (picture / np.iinfo(picture.dtype).max).astype("float32")')
    else:
        black, white = settings.intensity_range
        lines.append(f'picture = ((picture - {black!r}) / {white - black!r}).clip(0, 1).astype("float32")')
    if settings.geometry == "pad":
        lines += [
            "(height, width), side = picture.shape[:2], max(picture.shape[:2])",
            "top, left = (side - height) // 2, (side - width) // 2",
            "edges = [(top, side - height - top), (left, side - width - left), (0, 0)][: picture.ndim]",
            'picture = np.pad(picture, edges, mode="edge")',
        ]
    lines.append("planes = np.atleast_3d(picture).transpose(2, 0, 1)")
    resized = f"Image.fromarray(plane).resize(({size}, {size}), Image.Resampling.BILINEAR)"
    lines.append(f"image = np.stack([np.asarray({resized}) for plane in planes])")
    return lines
