"""Training images with their views as one collection of features, so that a head learns from views as from images."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from tedm.augmentation import view_image, view_mask
from tedm.errors import TedmError
from tedm.store import Block, Features, Labels, Views
from tedm.store.settings import MUST_MATCH, differences
from tedm.text import counted, shown
from tedm.views import SAME, image_of_view, view_name


def views_of_each(features: Features, names: Sequence[str]) -> int:
    """Return how many views each of some images has at least; 0 where there are none."""
    views = features.views()
    if views is None or not names:
        return 0
    there = views.features.labels
    return min(next(k for k in itertools.count() if not there.has(view_name(name, k + 1))) for name in names)


class WithViews:
    """Some features and views of a few of their images; see `tedm.store.Features`.

    Parameters
    ----------
    features : Features
        Those of the images.
    views : Views
        Activations of views.
    names : sequence of str
        The images whose views take part.
    count : int
        Views of each, at least 1.

    Attributes
    ----------
    names : list of str
        Each image, followed by its views.
    count : int
        Views of each.

    Raises
    ------
    TedmError
        If views were made by other settings, an image has fewer or is called as a view of another, or they show another image
        than there is now.
    """

    def __init__(self, features: Features, views: Views, names: Sequence[str], count: int) -> None:
        self.whole, self._views, self.count = features, views, count
        self.settings, self.arithmetic, self.storage = features.settings, features.arithmetic, features.storage
        made = [view_name(name, k + 1) for name in names for k in range(count)]
        if taken := set(made).intersection(names):
            view = min(taken)
            raise TedmError(
                f"the image {shown(view)} is called as a view of {shown(image_of_view(view))} is; give one of the two another "
                "name, or fit without views (--views 0)"
            )
        self.names = [each for name in names for each in (name, *(view_name(name, k + 1) for k in range(count)))]
        self._of = {view: image_of_view(view) for view in made}
        self._require_same_features()
        self._require_views(names, count)
        self.labels = self._with_views(features.labels, names)

    @property
    def view_names(self) -> list[str]:
        """Those of the names that are views."""
        return list(self._of)

    @property
    def reads_ahead(self) -> bool:
        """Whether it pays to ask for the next block in another thread: if it does for the images."""
        return self.whole.reads_ahead

    @property
    def chunk_channels(self) -> int:
        """Length of the vectors that are read."""
        return self.whole.chunk_channels

    def views(self) -> None:
        """Return None: a view has none."""
        return None

    def image(self, name: str) -> NDArray[np.float32]:
        """Return an image or a view of one: shape (size, size, channels), in [0, 1]."""
        return (self._views.features if name in self._of else self.whole).image(name)

    def mask(self, name: str) -> NDArray[np.uint8]:
        """Class indices of shape (size, size); `IGNORE` where there is no label, or where a view shows more than the image."""
        if name not in self._of:
            return self.whole.mask(name)
        return view_mask(self.whole.mask(self._of[name]), name, self._views.kind)

    def blocks(
        self, names: Sequence[str], timesteps: Sequence[int] | None = None, levels: Sequence[str] | None = None
    ) -> Iterator[Block]:
        """Yield one block for each name, in order."""
        for of_views, some in itertools.groupby(names, key=lambda name: name in self._of):
            yield from (self._views.features if of_views else self.whole).blocks(list(some), timesteps, levels)

    def _with_views(self, labels: Labels, names: Sequence[str]) -> Labels:
        """Return what is known of the images of the fit and of their views, which share it."""
        at = [labels.index(self._of.get(name, name)) for name in self.names]
        return replace(
            labels,
            names=tuple(self.names),
            splits=tuple(labels.splits[index] for index in at),
            groups=tuple(labels.groups[index] for index in at),
            domains=tuple(labels.domains[index] for index in at),
            original_sizes=tuple(labels.original_sizes[index] for index in at),
            labelled=tuple(labels.labelled[index] for index in at),
            volumes=(),
            slices=(),
        )

    def _require_views(self, names: Sequence[str], count: int) -> None:
        """Refuse images that have fewer views, or views of what they were before."""
        there, views = self._views.features.labels, self._views.features
        for name in names:
            wanted = [view for view in (view_name(name, k + 1) for k in range(count)) if there.has(view)]
            if len(wanted) < count:
                raise TedmError(
                    f"image {shown(name)} has {counted(len(wanted), 'view')}, and {count} are asked for; make them with the "
                    f"same tedm-extract and --views {count}, or fit with fewer (--views)"
                )
            image = self.whole.image(name)
            if any(np.abs(views.image(view) - view_image(image, view, self._views.kind)).max() > SAME for view in wanted):
                raise TedmError(
                    f"the views of image {shown(name)} show another image than the store has now; run the same "
                    "command again that made them"
                )

    def _require_same_features(self) -> None:
        ours, theirs = self.settings, self._views.features.settings
        found = differences(ours, theirs, {**MUST_MATCH, "draws": "draws"}, us="the store", them="its views")
        absent = [timestep for timestep in ours.timesteps if timestep not in theirs.timesteps]
        if found or absent:
            what = found[0] if found else f"the views lack timestep {absent[0]}"
            raise TedmError(
                f"the views are of other features than the store: {what}; run the same command again that made them"
            )
