"""Principal components of features, through products: rows that are never made.

The covariance of the rows times a few vectors is X^T (X v), two products with each block. LOBPCG (Knyazev 2001,
doi:10.1137/S1064827500366124; scipy's) needs no more than that, one pass over the blocks for each of its iterations. No mask is
needed: all pixels count.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse.linalg import LinearOperator, lobpcg
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from tedm.errors import TedmError
from tedm.heads.data.design import ArrayDesign, BlockDesign, Design, design_bytes
from tedm.heads.data.rows import RowLayout, block_bytes
from tedm.heads.runtime.memory import Budget
from tedm.heads.runtime.threads import each_in_a_thread
from tedm.store import Block, Features
from tedm.threads import read_ahead

# Vectors beyond those asked for: the last ones wanted are found sooner.
EXTRA = 4

Designs = Callable[[], Iterable[Design]]


class PrincipalComponents(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """PCA, in memory or out of core.

    Parameters
    ----------
    n_components : int
        At least 1, at most the number of features.
    max_iter : int
        Iterations of the eigensolver at most, a pass over the data each.
    tol : float
        Stop when no residual is larger, relative to the total variance.
    dtype : {"float32", "float64"}
        Type of the products; sums are float64.
    seed : int
        Of the vectors to start from.

    Attributes
    ----------
    mean_ : array of shape (features,)
    components_ : array of shape (n_components, features)
        Orthonormal, by falling variance; the largest entry of each is positive.
    explained_variance_, explained_variance_ratio_ : array of shape (n_components,)
        As scikit-learn's PCA has them.
    n_iter_ : int
        Passes over the data, without the first, for the means.
    converged_ : bool
        Whether `tol` was reached.
    """

    def __init__(
        self, n_components: int = 3, *, max_iter: int = 40, tol: float = 1e-6, dtype: str = "float32", seed: int = 0
    ) -> None:
        self.n_components = n_components
        self.max_iter = max_iter
        self.tol = tol
        self.dtype = dtype
        self.seed = seed

    def fit(self, X: Any, y: Any = None) -> Self:
        """Fit on rows in memory: X of shape (rows, features)."""
        X = validate_data(self, X, dtype=self.dtype, ensure_min_samples=2)
        return self._solve(_Rows(lambda: [ArrayDesign(X)], X.shape[1], threads=1))

    def fit_features(
        self,
        features: Features,
        names: Sequence[str],
        *,
        rows: RowLayout,
        timesteps: Sequence[int] | None = None,
        memory: int | None = None,
    ) -> Self:
        """Fit on all pixels of some images, out of core.

        Parameters
        ----------
        features : Features
            A store, say.
        names : sequence of str
            Images, at least one.
        rows : {"share", "concatenate"}
            How activations become rows.
        timesteps : sequence of int or None
            None takes all.
        memory : int or None
            Bytes that this process may have resident; None takes half of what is free.

        Raises
        ------
        TedmError
            If the budget does not hold a block and its products.
        """
        settings = features.settings
        timesteps = settings.timesteps if timesteps is None else tuple(timesteps)
        n_features = settings.channels * (1 if rows == "share" else len(timesteps))
        budget = Budget(memory)
        held, reading = block_bytes(features, len(timesteps))
        columns = n_features if n_features <= 5 * self._columns(n_features) else self._columns(n_features)
        each = design_bytes(features, len(timesteps), rows, columns)
        solver = 16 * 8 * n_features * columns
        budget.require(held + reading + each + solver, f"principal components of {n_features} features")
        room = budget.left() - reading - solver
        threads = max(1, min(torch.get_num_threads(), len(names), room // (held + each) - 1))

        def designs() -> Iterator[Design]:
            ahead = 1 if room > (threads + 1) * (held + each) and len(names) > 1 else 0
            for block in read_ahead(features.blocks(names, timesteps), ahead=ahead):
                yield BlockDesign(block, rows, self.dtype)

        self.n_features_in_ = n_features
        return self._solve(_Rows(designs, n_features, threads=int(threads)))

    def transform(self, X: Any) -> NDArray[np.floating]:
        """Return rows of shape (rows, features) as shape (rows, n_components)."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=self.dtype, reset=False)
        return self._projected(ArrayDesign(X))

    def project(self, block: Block, rows: RowLayout) -> NDArray[np.floating]:
        """Return a block's rows, in the order of `tedm.heads.data.rows`, as shape (rows, n_components); they are never made."""
        check_is_fitted(self)
        return self._projected(BlockDesign(block, rows, self.dtype))

    def _projected(self, design: Design) -> NDArray[np.floating]:
        weights = self.components_.T
        return np.asarray(design.matmat(weights) - (self.mean_ @ weights).astype(self.dtype))

    def _columns(self, n_features: int) -> int:
        """Count the vectors of an iteration."""
        return min(self.n_components + EXTRA, n_features)

    def _solve(self, rows: _Rows) -> Self:
        """Find the components of rows that are passed over again and again."""
        n_features = rows.n_features
        if not 1 <= self.n_components <= n_features:
            raise TedmError(f"n_components is {self.n_components}; it must be from 1 to the {n_features} features")
        rows.find_moments()
        self.mean_, count, total = rows.mean, rows.count, rows.total
        values, vectors = self._eigenvectors(rows)
        order = np.argsort(-values)[: self.n_components]
        components = vectors[:, order].T
        largest = np.abs(components).argmax(axis=1)
        self.components_ = components * np.sign(components[np.arange(len(components)), largest])[:, None]
        self.explained_variance_ = np.maximum(values[order], 0) * rows.scale / max(count - 1, 1)
        self.explained_variance_ratio_ = np.maximum(values[order], 0) * rows.scale / (total if total > 0 else 1.0)
        self.n_iter_ = rows.passes
        return self

    def _eigenvectors(self, rows: _Rows) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the largest eigenvalues of the scaled covariance and their vectors, of shape (features, vectors)."""
        n_features = rows.n_features
        columns = self._columns(n_features)
        if n_features <= 5 * columns:  # too few for the solver, and few enough to ask for all
            matrix = rows.covariance(np.eye(n_features))
            values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
            self.converged_ = True
            return values, vectors
        start = np.random.default_rng(self.seed).normal(size=(n_features, columns))
        product = rows.covariance
        operator: Any = LinearOperator((n_features, n_features), matvec=product, matmat=product, dtype=np.float64)
        with _quiet():
            values, vectors = lobpcg(operator, start, tol=self.tol, maxiter=self.max_iter)
        residual = rows.covariance(vectors) - vectors * values
        wanted = np.argsort(-values)[: self.n_components]
        self.converged_ = bool(np.linalg.norm(residual[:, wanted], axis=0).max() <= 10 * self.tol)
        return values, vectors


class _Rows:
    """Rows as designs that are made anew for every pass, with their mean and products with their covariance.

    Parameters
    ----------
    designs : callable () -> iterable of Design
        Makes one pass.
    n_features : int
    threads : int
        Designs that are computed on at once.
    """

    def __init__(self, designs: Designs, n_features: int, threads: int) -> None:
        self._designs, self.n_features, self._threads = designs, n_features, threads
        self.passes = 0

    def find_moments(self) -> None:
        """Find the mean, the number of rows and their spread around the mean, in one pass."""
        moments = list(each_in_a_thread(_moments, self._designs(), self._threads))
        self.count = sum(count for _, _, count in moments)
        self.mean = np.sum([sums for sums, _, _ in moments], axis=0) / self.count
        squares = np.sum([squares for _, squares, _ in moments], axis=0)
        # The spread around the mean is a small difference of large sums where the mean is large: scaled, tolerances mean
        # the same whatever the units are.
        self.total = float((squares - self.count * self.mean**2).sum())
        self.scale = self.total if self.total > 0 else 1.0

    def covariance(self, vectors: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return (X - m)^T (X - m) v / scale: products with rows that are centred after the first of them."""
        self.passes += 1
        vectors = vectors.reshape(self.n_features, -1)
        shift = self.mean @ vectors

        def product(design: Design) -> NDArray[np.float64]:
            total = np.zeros(vectors.shape)
            for part in design.parts():
                projected = part.matmat(vectors) - shift
                total += part.rmatmat(projected) - np.outer(self.mean, projected.sum(axis=0))
            return total

        return np.asarray(sum(each_in_a_thread(product, self._designs(), self._threads))) / self.scale


def _moments(design: Design) -> tuple[NDArray[np.floating], NDArray[np.floating], int]:
    """Return the sums of a design's features, of their squares, and the number of rows."""
    parts = [part.moments(np.ones(part.shape[0])) for part in design.parts()]
    return sum(p[0] for p in parts), sum(p[1] for p in parts), design.shape[0]  # type: ignore[return-value]


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the solver from warning where it stops before `tol`: `converged_` says so."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        yield
