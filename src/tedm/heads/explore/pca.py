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
        return self._solve(lambda: [ArrayDesign(X)], X.shape[1], threads=1)

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
        return self._solve(designs, n_features, threads=int(threads))

    def transform(self, X: Any) -> NDArray[np.floating]:
        """Rows of shape (rows, features) as shape (rows, n_components)."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=self.dtype, reset=False)
        return self._projected(ArrayDesign(X))

    def project(self, block: Block, rows: RowLayout) -> NDArray[np.floating]:
        """A block's rows, in the order of `tedm.heads.data.rows`, as shape (rows, n_components); they are never made."""
        check_is_fitted(self)
        return self._projected(BlockDesign(block, rows, self.dtype))

    def _projected(self, design: Design) -> NDArray[np.floating]:
        weights = self.components_.T
        return np.asarray(design.matmat(weights) - (self.mean_ @ weights).astype(self.dtype))

    def _columns(self, n_features: int) -> int:
        return min(self.n_components + EXTRA, n_features)

    def _solve(self, designs: Designs, n_features: int, threads: int) -> Self:
        if not 1 <= self.n_components <= n_features:
            raise TedmError(f"n_components is {self.n_components}; it must be from 1 to the {n_features} features")

        def moments(design: Design) -> tuple[NDArray[np.floating], NDArray[np.floating], int]:
            together = [part.moments(np.ones(part.shape[0])) for part in design.parts()]
            return sum(t[0] for t in together), sum(t[1] for t in together), design.shape[0]  # type: ignore[return-value]

        of_design = list(each_in_a_thread(moments, designs(), threads))
        count = sum(found[2] for found in of_design)
        self.mean_ = np.sum([found[0] for found in of_design], axis=0) / count
        squares = np.sum([found[1] for found in of_design], axis=0)
        # The spread around the mean is a small difference of large sums where the mean is large: scaled, tolerances mean
        # the same whatever the units are.
        total = float((squares - count * self.mean_**2).sum())
        scale = total if total > 0 else 1.0
        passes = 0

        def covariance(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
            """(X - m)^T (X - m) v: products with rows that are centred after the first of them."""
            nonlocal passes
            passes += 1
            vectors = vectors.reshape(n_features, -1)
            shift = self.mean_ @ vectors

            def of(design: Design) -> NDArray[np.float64]:
                found = np.zeros(vectors.shape)
                for part in design.parts():
                    projected = part.matmat(vectors) - shift
                    found += part.rmatmat(projected) - np.outer(self.mean_, projected.sum(axis=0))
                return found

            return np.asarray(sum(each_in_a_thread(of, designs(), threads))) / scale

        columns = self._columns(n_features)
        if n_features <= 5 * columns:  # too few for the solver, and few enough to ask for all
            matrix = covariance(np.eye(n_features))
            values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
            self.converged_ = True
        else:
            start = np.random.default_rng(self.seed).normal(size=(n_features, columns))
            operator: Any = LinearOperator((n_features, n_features), matvec=covariance, matmat=covariance, dtype=np.float64)
            with _quiet():
                values, vectors = lobpcg(operator, start, tol=self.tol, maxiter=self.max_iter)
            residual = covariance(vectors) - vectors * values
            wanted = np.argsort(-values)[: self.n_components]
            self.converged_ = bool(np.linalg.norm(residual[:, wanted], axis=0).max() <= 10 * self.tol)
        order = np.argsort(-values)[: self.n_components]
        found = vectors[:, order].T
        largest = np.abs(found).argmax(axis=1)
        self.components_ = found * np.sign(found[np.arange(len(found)), largest])[:, None]
        self.explained_variance_ = np.maximum(values[order], 0) * scale / max(count - 1, 1)
        self.explained_variance_ratio_ = np.maximum(values[order], 0) * scale / (total if total > 0 else 1.0)
        self.n_iter_ = passes
        return self


@contextmanager
def _quiet() -> Iterator[None]:
    """The solver warns where it stops before `tol`; `converged_` says so."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        yield
