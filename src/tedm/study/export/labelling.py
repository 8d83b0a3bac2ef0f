"""What labels and channels are called in an nnU-Net data set.

Some names mean something to nnU-Net: "background" is label 0, "ignore" marks what counts for nothing, and a channel called "CT"
is normalised otherwise than others. Nothing else may be called so.
"""

from __future__ import annotations

from tedm.store import FeatureSettings, Labels
from tedm.text import called

BACKGROUND, IGNORED = "background", "ignore"
# Names of channels that choose a normalisation; all others are standardised, image by image.
NORMALISATIONS = frozenset({"ct", "nonorm", "zscore", "rescale_0_1", "rescale_to_0_1", "rgb_to_0_1"})


def label_names(labels: Labels) -> list[str]:
    """Return what the labels 0, 1, ... are called: the classes in their order, the first of them as the background.

    Examples
    --------
    >>> label_names(Labels((), (), (), (), (), (), (0, 7, 255), ("none", "lung", "ignore")))
    ['background', 'lung', 'ignore (class 255)']
    """
    names = [BACKGROUND]
    for value, name in zip(labels.classes[1:], labels.called[1:], strict=True):
        one = name
        while one in (*names, IGNORED):
            one = f"{one} ({called(value)})"
        names.append(one)
    return names


def channel_names(settings: FeatureSettings) -> list[str]:
    """Return what the channels are called, without names by which nnU-Net chooses a normalisation."""
    count = settings.image_channels
    if len(settings.channel_names) == count:
        return [f"{name} channel" if name.casefold() in NORMALISATIONS else name for name in settings.channel_names]
    if count == 1:
        return ["image"]
    if count == 3 and settings.axis is None:
        return ["R", "G", "B"]
    return [f"channel {number}" for number in range(1, count + 1)]


def remarks_on_names(settings: FeatureSettings, labels: Labels) -> list[str]:
    """Return in sentences which names differ from the store's in a way that a user should know."""
    remarks = []
    first, name = labels.classes[0], labels.called[0]
    if (name if labels.class_names else first) not in (BACKGROUND, 0):
        what = f"{name} ({called(first)})" if labels.class_names else name
        remarks.append(f"{what}, the store's first class, is the background: nnU-Net has no other label 0")
    for channel, before in zip(channel_names(settings), settings.channel_names, strict=False):
        if channel != before:
            remarks.append(f"channel {before} is called {channel}: by its own name nnU-Net would choose a normalisation")
    return remarks
