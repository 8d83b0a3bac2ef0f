"""Examples of a study's file, with every word in them explained: chest X-rays, and brain MRI scored in three dimensions."""

from __future__ import annotations

from collections.abc import Mapping

from tedm.errors import TedmError
from tedm.text import listed

_PROBES = "\n".join(f'[[methods]]\nmethod = "timestep:{t}"\n' for t in (1, 10, 25, 50, 200, 400, 600, 800))

_CXR = f"""\
# A study of segmentation from few labels: chest X-rays of one hospital to learn from, of others to be tested on.
# Run it with: tedm-study STUDY.toml OUT. Paths are relative to this file.
title = "Lungs on chest X-rays"

# Training sizes, and what they are numbers of: images, or groups (patients).
sizes = [1, 3, 6, 12, 100]
counts = "images"
# Each seed is another training set of each size, and other weights.
seeds = [0, 1, 2, 3, 4]
# The metric of the tables, and the correction of their tests: holm or bonferroni.
metric = "dice"
correction = "holm"
# What an image counts whose truth does not show a class: leave-out, or count.
empty_truth = "leave-out"

# Sizes with seeds of their own: 100 images are all that there are.
[seeds_at]
100 = [0]

# The features: extracted into OUT/features, with the options of tedm-extract under their names. A store that is there is named
# with a line like store = "my-store", and nothing else then.
[features]
images = ["data/shenzhen", "data/montgomery", "data/kermany"]
checkpoint = "checkpoints/nih64.pt"
timesteps = [1, 10, 25, 50, 150, 200, 250, 400, 600, 800]
layout = "native"
# Views of each labelled training image, which the method "jury" learns from; 0 for none.
views = 8

# Images to learn from. What methods choose on val images they choose on the split val of this domain.
[learn]
split = "train"
domain = "shenzhen"

# Images to score on, a part for each.
[[score]]
split = "test"
domain = "shenzhen"

[[score]]
split = "test"
domain = "montgomery"

[[score]]
split = "test"
domain = "kermany"

# Methods, each with the options of tedm-fit under their names, and perhaps sizes and seeds of its own. The first is the default
# of tedm-fit, the next three are the paper's.
[[methods]]
method = "jury"

[[methods]]
method = "tedm"

[[methods]]
method = "ledm"

[[methods]]
method = "ledme"

# Baselines, which look at images; those that start from weights name their file.
[[methods]]
method = "unet"

[[methods]]
method = "ddpm-finetune"
checkpoint = "checkpoints/nih64.pt"

# Their weights are made by tedm-pretrain --objective global-cl, and then --objective global-local-cl --start that file.
# [[methods]]
# method = "global-cl"
# checkpoint = "checkpoints/global-cl.safetensors"
#
# [[methods]]
# method = "global-local-cl"
# checkpoint = "checkpoints/global-local-cl.safetensors"

# A method again with other settings, under a name of its own:
# [[methods]]
# method = "tedm"
# name = "tedm as published"
# as_published = true
# sizes = [6]

# The per-timestep probes of figures 2 and 3.
{_PROBES}"""

_BRAIN = """\
# A study in three dimensions: subcortical structures on brain MRI, learned slice by slice and scored volume by volume.
# Run it with: tedm-study STUDY.toml OUT. Paths are relative to this file.
title = "Subcortical structures on brain MRI"

# Training sizes: numbers of patients with all their slices.
sizes = [1, 3, 6]
counts = "groups"
# Each seed is other patients, and other weights.
seeds = [0, 1, 2]
metric = "dice"
correction = "holm"

# The features: extracted into OUT/features, with the options of tedm-extract under their names.
[features]
images = "data/subcortical"
checkpoint = "checkpoints/brain64.pt"
timesteps = [1, 10, 25, 50, 150, 200, 250, 400, 600, 800]
layout = "native"
axis = "axial"
normalise = "quantile"
brain = "mask"
drop_empty = "train"

[learn]
split = "train"

# Slices are scored at feature resolution, and whole volumes at their own, against the masks that `volumes` names; distances
# adds HD95 and NSD.
[[score]]
split = "test"
volumes = "data/subcortical"
distances = false

# The default of tedm-fit; its views of every training slice would be eight times the extraction.
[[methods]]
method = "jury"
views = 0

[[methods]]
method = "tedm"

[[methods]]
method = "ledm"

[[methods]]
method = "ledme"

[[methods]]
method = "timestep:50"

[[methods]]
method = "unet"
"""

EXAMPLES: Mapping[str, str] = {"cxr": _CXR, "brain": _BRAIN}


def example(name: str) -> str:
    """Return an example of a study's file.

    Parameters
    ----------
    name : {"cxr", "brain"}

    Raises
    ------
    TedmError
        If there is no such example.
    """
    if name not in EXAMPLES:
        raise TedmError(f"there is no example {name!r}; choose one of {listed(EXAMPLES)}")
    return EXAMPLES[name]
