"""What a model folder is, for programs: `config.json`.

It has all that somebody needs who has none of our software: timesteps, classes with their names, how an image becomes the
backbone's square, how noise is drawn, and which backbone it is.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import tedm
from tedm.extract import Backbone
from tedm.heads import Segmenter
from tedm.jsons import JsonObject, JsonValue
from tedm.study.export.models.chain import Chain
from tedm.study.export.models.onnx_file import OPSET
from tedm.study.export.models.parity import Agreement
from tedm.study.export.models.scored import Score

FORMAT = 1
ONNX, NOISE = "model.onnx", "noise.npy"
NOISE_RULE = (
    "standard normal numbers by the inverse distribution function, of uniform ones (k + 0.5) / 2**53 where k are the upper "
    "53 bits of numpy.random.Philox(key).random_raw in C order, key is the little-endian integer of the 16 bytes "
    "blake2b(text, digest_size=16), and the text, in UTF-8, is "
)
KEYS = {
    "per-image": r"per-image\0{seed}\0{timestep}\0{draw}\0{name}, the name in Unicode's form NFC",
    "shared": r"shared\0{seed}\0{draw}",
}


@dataclass(frozen=True)
class Contents:
    """What a folder has beside its head.

    Parameters
    ----------
    name : str
        What the model is called.
    licence : str or None
        An identifier of the hub's; None if none was chosen.
    backbone : Backbone or None
        If it was at hand.
    backbone_file, backbone_config : str or None
        Their names in the folder, where they are in it.
    chain : Chain or None
        Behind the ONNX file, if there is one.
    agreement : Agreement or None
        How far the ONNX file and the head are apart.
    scores : tuple of Score
    names : bool
        Whether the names of images stay in the head.
    """

    name: str
    licence: str | None = None
    backbone: Backbone | None = None
    backbone_file: str | None = None
    backbone_config: str | None = None
    chain: Chain | None = None
    agreement: Agreement | None = None
    scores: tuple[Score, ...] = ()
    names: bool = False

    @property
    def onnx_file(self) -> str | None:
        """The name of the ONNX file, if there is one."""
        return None if self.chain is None else ONNX


def named_classes(head: Segmenter) -> list[tuple[int, str]]:
    """Return the values that masks have and what people call them; "class 3" where nobody said so."""
    return [(value, head.named_classes.get(value) or f"class {value}") for value in head.classes]


def config_of(head: Segmenter, contents: Contents) -> dict[str, JsonValue]:
    """Return what `config.json` says.

    Parameters
    ----------
    head : Segmenter
    contents : Contents
    """
    method, settings, about = head.method, head.settings, head.provenance
    colours = head.class_colours or ("",) * len(head.classes)
    classes: list[JsonValue] = [
        {"index": index, "value": value, "name": name, **({"colour": colour} if colour else {})}
        for index, ((value, name), colour) in enumerate(zip(named_classes(head), colours, strict=True))
    ]
    seen = settings.to_json()
    image: dict[str, JsonValue] = {"size": settings.image_size, "channels": settings.image_channels}
    image |= {key: seen.get(key) for key in ("geometry", "intensity_range", "channel_names", "axis", "crop", "normalisation")}
    values: dict[str, JsonValue] = {
        "model_type": "tedm",
        "format": FORMAT,
        "tedm_version": tedm.__version__,
        "fitted_by_tedm": about.tedm,
        "task": "image-segmentation",
        "name": contents.name,
        "license": contents.licence,
        "method": {
            "name": method.name,
            "head": method.head,
            "timesteps": list(method.timesteps),
            "rows": method.rows,
            "members": method.members,
            "vote": method.vote,
            "temperature": head.calibration.temperature if head.calibration is not None else None,
            "smoothing": method.smoothing,
            "specks": [method.specks * each for each in head.smallest_parts],
        },
        "classes": classes,
        "image": image,
        "trained_on": {"images": len(about.images), "groups": groups_of(head), "labels_used": about.labels_used},
        "head_files": "head.json and what lies beside it; tedm.heads.load_head(FOLDER) reads them",
        "scores": [asdict(score) for score in contents.scores],
    }
    if not method.looks_at_images:
        values |= _of_backbone(head, contents)
    return values


def groups_of(head: Segmenter) -> int | None:
    """Return of how many groups the training images are; None where nobody declared any."""
    groups = {(image.declared_group, image.domain) for image in head.provenance.learned_from if image.declared_group}
    return len(groups) or None


def _of_backbone(head: Segmenter, contents: Contents) -> JsonObject:
    settings, backbone = head.settings, contents.backbone
    noise: dict[str, JsonValue] = {"mode": settings.noise, "seed": settings.noise_seed, "draws": settings.draws}
    if settings.noise in KEYS:
        noise["rule"] = NOISE_RULE + KEYS[settings.noise]
    values: dict[str, JsonValue] = {
        "noise": noise,
        "backbone": {
            "sha256": settings.checkpoint_sha256,
            "family": None if backbone is None else backbone.family,
            "file": contents.backbone_file,
            "config": contents.backbone_config,
            "input_range": list(settings.input_range),
            "levels": [asdict(level) for level in settings.levels],
            "upsampling": settings.upsampling,
        },
    }
    if backbone is not None:
        abar = {str(timestep): float(backbone.schedule.alphas_cumprod[timestep]) for timestep in head.method.timesteps}
        values["schedule"] = {
            "name": backbone.schedule.name,
            "timesteps": backbone.schedule.timesteps_total,
            "alphas_cumprod": abar,
        }
    if contents.chain is not None and contents.agreement is not None:
        shapes, size = contents.chain.inputs, settings.image_size
        voters = contents.chain.ballot.get_buffer("weights").shape[0]
        values["onnx"] = {
            "file": ONNX,
            "opset": OPSET,
            "inputs": {name: list(shape) for name, shape in shapes.items()},
            "outputs": {
                "probabilities": [1, len(head.classes), size, size],
                "opinions": [voters, len(head.classes), size, size],
            },
            "type": "float32",
            "noise_file": NOISE if settings.noise == "shared" else None,
            "without": ["specks"] if any(head.method.specks * each for each in head.smallest_parts) else [],
            "agreement": asdict(contents.agreement),
        }
    return values
