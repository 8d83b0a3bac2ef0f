"""Names of before: the kinds of networks are in `tedm.extract.backbones`."""

from __future__ import annotations

import sys

from tedm.extract.backbones import custom, diffusers, family, monai, openai, tedm
from tedm.networks import openai_unet, tedm_unet

# `from tedm.extract.families.own import ...` looks here first.
for _old, _module in {
    "own": custom,
    "diffusers": diffusers,
    "family": family,
    "monai": monai,
    "openai": openai,
    "openai_unet": openai_unet,
    "tedm": tedm,
    "tedm_unet": tedm_unet,
}.items():
    sys.modules[f"{__name__}.{_old}"] = _module
