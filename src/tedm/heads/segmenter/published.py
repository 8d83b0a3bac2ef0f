"""What the code published with the paper (arXiv:2311.07421) sets otherwise than we do: arguments of heads, by method.

The methods' defaults here are what compares fairly; `docs/methods.md` has both side by side, with the reasons. Whatever the
user names overrides either.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from tedm.errors import TedmError
from tedm.heads.base.head import HeadOptions
from tedm.heads.base.registry import head_class
from tedm.jsons import JsonValue

# There are fewer looks at the val loss in any fit of an MLP: such a patience keeps the best weights and never stops early.
NEVER = 100
# One MLP for LEDM and LEDMe too; Adam, the batches and the iterations are those of the paper's appendix C.3.
ONE_MLP: Mapping[str, JsonValue] = MappingProxyType(
    {"batch": "images", "images_per_batch": 16, "iterations": 20_000, "learning_rate": 1e-4, "patience": NEVER}
)
# The supervised baseline, and the fine-tuning of contrasted weights: TEDM's own UNet, plain cross-entropy, no augmentation.
OWN_UNET: Mapping[str, JsonValue] = MappingProxyType(
    {
        "network": "tedm",
        "loss": "ce",
        "augment": False,
        "decay": False,
        "images_per_batch": 16,
        "iterations": 20_000,
        "learning_rate": 1e-4,
        "patience": NEVER,
        "precision": "float32",
    }
)
# Arguments of the constructor of the method's head, by the method's name: what is not in it has no published setting.
PUBLISHED: Mapping[str, Mapping[str, JsonValue]] = {
    "tedm": ONE_MLP,
    "ledm": ONE_MLP,
    "ledme": ONE_MLP,
    "unet": OWN_UNET,
    "global-cl": OWN_UNET,
    "global-local-cl": OWN_UNET,
}
# Val images that its heads are chosen on.
VAL_IMAGES = 25


def published_arguments(name: str, head: str, options: HeadOptions) -> dict[str, JsonValue]:
    """Return the arguments of a method's head as published, without those that the user names.

    Parameters
    ----------
    name : str
        The method's, one of `PUBLISHED`.
    head : str
        Its kind of head.
    options : HeadOptions
        What the user asks for.

    Raises
    ------
    TedmError
        If the method has no published setting, or the user asks for a size of batches that are not drawn.

    Examples
    --------
    >>> published_arguments("ledm", "mlp", HeadOptions(iterations=50, batch="pixels"))
    {'images_per_batch': 16, 'learning_rate': 0.0001, 'patience': 100}
    """
    require_published(name)
    named = head_class(head).capabilities.options
    overridden = {argument for option, argument in named.items() if getattr(options, option) is not None}
    arguments = {argument: value for argument, value in PUBLISHED[name].items() if argument not in overridden}
    if arguments.get("batch") == "images" and options.pixels_per_batch is not None:
        raise TedmError(
            f"--pixels-per-batch is for batches of pixels, and {name} as published learns from whole images; "
            "add --batch pixels, or give --images-per-batch"
        )
    return arguments


def require_published(name: str) -> None:
    """Refuse a method that the paper's code does not have, or has with another kind of head: its name says so."""
    if name not in PUBLISHED:
        raise TedmError(f"{name} has no published setting; leave out --as-published, or choose one of {', '.join(PUBLISHED)}")
