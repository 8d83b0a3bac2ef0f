"""A head that looks at images: the class of a pixel is that whose mean brightness is nearest. The least that such a head is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from tedm.heads import Capabilities, FitReport, RowLayout, TrainingData
from tedm.heads.base.classifier import Classifier
from tedm.networks.pretrained import Pretrained
from tedm.store import Block


class BrightnessHead(Classifier):
    """Means of brightness, one a class; weights to start from are remembered and do nothing."""

    capabilities: ClassVar[Capabilities] = Capabilities(options={}, looks_at_images=True, starts=True)

    def __init__(self, *, sharpness: float = 100.0) -> None:
        self.sharpness = sharpness
        self._started = ""

    def start_from(self, weights: Pretrained) -> None:
        """Remember which weights."""
        self._started = weights.objective

    def fit_blocks(self, data: TrainingData, validation: Any = None, progress: Any = None, checkpoint: Any = None) -> Self:
        """Take means over the labelled pixels."""
        sums = np.zeros((len(data.classes), 2))
        for name in data.names:
            image, mask = data.features.image(name).mean(axis=-1), data.masks[name]
            for index in range(len(data.classes)):
                sums[index] += image[mask == index].sum(), (mask == index).sum()
        self.classes_, self.n_features_in_ = np.arange(len(data.classes)), data.n_features
        self.means_ = sums[:, 0] / sums[:, 1]
        return self

    def opinions(self, block: Block, rows: RowLayout) -> Any:
        """Return how near each pixel is to each mean."""
        assert block.image is not None
        away = (block.image.mean(axis=-1).reshape(-1, 1) - self.means_) ** 2
        values = np.exp(-self.sharpness * away)
        return (values / values.sum(axis=1, keepdims=True))[None]

    def predict_proba(self, X: Any) -> Any:
        """Rows are no images."""
        raise NotImplementedError

    def report(self) -> FitReport:
        """Tell where it started from."""
        return FitReport(details={"start": self._started} if self._started else {})

    def save(self, folder: Path) -> None:
        """Write the means."""
        (folder / "means.json").write_text(json.dumps(self.means_.tolist()))

    def restore(self, folder: Path, *, features: int, classes: int) -> None:
        """Read them."""
        self.means_ = np.array(json.loads((folder / "means.json").read_text()))
        self.classes_, self.n_features_in_ = np.arange(classes), features
