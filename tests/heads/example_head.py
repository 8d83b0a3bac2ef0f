"""A head as another package brings it: the nearest class mean. `tests/heads/test_example_head.py` installs and uses it."""

import numpy as np
from safetensors.numpy import load_file, save_file
from scipy.special import softmax
from sklearn.utils.validation import check_is_fitted, validate_data

from tedm.heads.base.classifier import Classifier
from tedm.heads.base.head import Capabilities, FitReport
from tedm.heads.base.predictor import PART_BYTES, opinions_in_parts


class NearestMean(Classifier):
    """The nearer the mean of a class, the more probable the class; `sharpness` says how much."""

    capabilities = Capabilities(options={}, takes_rows=True)

    def __init__(self, sharpness=1.0):
        self.sharpness = sharpness

    def fit(self, X, y):
        X, indices = self._checked_rows(X, y, "float64")
        return self._learn([(X, indices)])

    def fit_blocks(self, data, validation=None, progress=None, checkpoint=None):
        data.budget.require(data.block_bytes + data.reading_bytes + 4 * PART_BYTES, "an image and some of its rows")
        self.classes_, self.n_features_in_ = np.arange(len(data.classes)), data.n_features
        return self._learn((rows, labels) for _, rows, labels in data.row_chunks(data.names, PART_BYTES))

    def predict_proba(self, X):
        check_is_fitted(self)
        return self._probabilities(validate_data(self, X, dtype="float64", reset=False))

    def opinions(self, block, rows):
        return opinions_in_parts(block, rows, len(self.classes_), self._probabilities)

    def report(self):
        return FitReport(details={"rows": self.counts_.tolist()})

    def save(self, folder):
        save_file({"means": self.means_, "counts": self.counts_}, folder / "weights.safetensors")

    def restore(self, folder, *, features, classes):
        arrays = load_file(folder / "weights.safetensors")
        self.means_, self.counts_ = arrays["means"], arrays["counts"]
        self.classes_, self.n_features_in_ = np.arange(classes), features

    def _learn(self, parts):
        sums, self.counts_ = np.zeros((len(self.classes_), self.n_features_in_)), np.zeros(len(self.classes_), np.int64)
        for rows, labels in parts:
            np.add.at(sums, labels, rows)
            self.counts_ += np.bincount(labels, minlength=len(self.classes_))
        self.means_ = sums / np.maximum(self.counts_, 1)[:, None]
        return self

    def _probabilities(self, rows):
        distances = np.stack([((rows - mean) ** 2).sum(axis=1) for mean in self.means_], axis=1)
        return softmax(np.where(self.counts_ > 0, -self.sharpness * distances, -np.inf), axis=1)
