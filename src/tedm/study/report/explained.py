"""The methods of a comparison in a sentence each, for a reader who has not read the papers.

The sentences are here alone; docs/methods.md has them too, and a test holds the two together.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from tedm.heads import METHODS, Identity

SENTENCES: Mapping[str, str] = {
    "jury": "As ledme, but it also learns from changed views of the labelled images, sees small classes more often than their "
    "size would have it, and votes with an ordinary network that learns from the same images; specks much smaller than any "
    "labelled part are dropped.",
    "jury-finetune": "As jury, but the network is the diffusion model itself, trained further on the labels.",
    "jury-fast": "As jury, but each classifier looks at two levels of noise at once, 1 and 50, which is a quarter of the work.",
    "tedm": "One small classifier looks at each pixel as the diffusion model sees it at eight levels of noise, one after the "
    "other; its eight opinions are averaged.",
    "ledm": "Ten small classifiers each look at a pixel at three levels of noise at once; the majority decides.",
    "ledme": "As ledm, but each of the ten classifiers looks at tedm's eight levels of noise at once.",
    "timestep:T": "A logistic regression, the simplest classifier, looks at each pixel at one level of noise, T (small: little "
    "noise).",
    "unet": "A baseline: an ordinary segmentation network, trained on the labelled images alone, without a diffusion model.",
    "global-cl": "A baseline: a segmentation network that first learned, without labels, to recognise two views of one image, "
    "and then from the labelled images.",
    "global-local-cl": "A baseline: as global-cl, but it also learned to recognise the same region in two views.",
    "ddpm-finetune": "A baseline: the whole diffusion model, trained further on the labelled images as a segmentation network.",
}
HEADS: Mapping[str, str] = {
    "mlp": "a small neural network",
    "logistic": "logistic regression",
    "xgboost": "boosted trees",
    "unet": "a segmentation network",
    "committee": "a committee of several methods, whose opinions are averaged",
}
# Settings that change what a sentence says.
SAID = {"network", "timesteps", "rows", "members", "vote", "views", "smoothing", "specks"}
# Single timesteps that have a row each.
MOST_ALONE = 3
OWN = "A method of this study's own."


def explained(methods: Iterable[str], identities: Mapping[str, Identity] | None = None) -> list[tuple[str, str]]:
    """Return each method with what it does.

    Parameters
    ----------
    methods : iterable of str
        As records call them: "tedm", "timestep:50", "tedm, members 10", "tedm@1,50", "tedm+fill-holes".
    identities : mapping of str to Identity, or None
        Their settings by the same names, for what has no sentence of its own; None where nobody knows them.

    Examples
    --------
    >>> explained(["timestep:50"])[0][1].endswith("at one level of noise, 50 (small: little noise).")
    True
    """
    named = list(methods)
    alone = [method for method in named if re.fullmatch(r"timestep:\d+", method)]
    if len(alone) > MOST_ALONE:  # one row for all
        named = [method for method in named if method not in alone[1:]]
    told = [(method, " ".join(_sentences(method, _identity(method, identities or {})))) for method in named]
    together = (f"{alone[0]} to {alone[-1]} ({len(alone)})", SENTENCES["timestep:T"]) if len(alone) > MOST_ALONE else None
    return [together if together and method == alone[0] else (method, words) for method, words in told]


def _identity(method: str, identities: Mapping[str, Identity]) -> Identity | None:
    """Return what is known of a method; cleaned masks are those of the head before the plus."""
    while method not in identities and "+" in method:
        method = method.rpartition("+")[0]
    return identities.get(method)


def _sentences(method: str, identity: Identity | None) -> list[str]:
    body, *cleaning = method.split("+")
    values = {} if identity is None else identity.values
    name = re.split(r"@\d|, ", body, maxsplit=1)[0] if identity is None else identity.label
    told = [_first(name, values)]
    if match := re.search(r"@([\d,]*\d)", body):
        told.append(f"Here with the levels of noise {match[1].replace(',', ', ')} alone.")
    others = [] if identity is None else [one for one in identity.settings if one.name in SAID and one.value != one.usual]
    phrases = [one.phrase for one in others if one.usual is not None and not told[0].startswith(OWN)]
    if settings := list(dict.fromkeys([*phrases, *body.split(", ")[1:]])):
        told.append(f"Here with {', '.join(settings)}.")
    if cleaning:
        told.append(f"Its masks were cleaned: {', '.join(cleaning)}.")
    return told


def _first(name: str, values: Mapping[str, str]) -> str:
    """Return the sentence of a method, or one about its settings, or that there is none."""
    if name in METHODS and values.get("head", METHODS[name].head) == METHODS[name].head:
        return SENTENCES[name]
    if match := re.fullmatch(r"timestep:(\d+)", name):
        return SENTENCES["timestep:T"].replace(", T ", f", {match[1]} ")
    if not values:
        return f"{OWN} What it is stands below, where it says what was run on what."
    head = values.get("head", "")
    of = HEADS.get(head, f"the classifier {head.rpartition('.')[2].rpartition(':')[2]}")
    timesteps, rows = values.get("timesteps", "").replace(",", ", "), values.get("rows", "")
    order = " at once" if rows == "concatenate" else ", one after the other"
    sees = f"looks at each pixel at the levels of noise {timesteps}{order}"
    return f"{OWN} {of[0].upper()}{of[1:]}; it {sees if timesteps else 'looks at the images themselves'}."
