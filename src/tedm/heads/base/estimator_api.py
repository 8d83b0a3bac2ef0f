"""What scikit-learn asks of an estimator, answered without importing scikit-learn.

Its base class costs a second and a half to import, since SciPy's statistics and, where they are installed, pandas and pyarrow
come with it. Commands fit and predict from features and need none of this: scikit-learn is imported when its own
conventions are asked for, by whoever has imported it already.
"""

from __future__ import annotations

from inspect import signature
from typing import TYPE_CHECKING, Any, Self

from tedm.jsons import JsonValue

if TYPE_CHECKING:
    from sklearn.utils import Tags


class ClassifierConventions:
    """A classifier of scikit-learn by its conventions: parameters, tags, score and text are those of its own base classes."""

    @classmethod
    def _get_param_names(cls) -> list[str]:
        """Return the names of the constructor's arguments, sorted."""
        return sorted(signature(cls).parameters)

    def get_params(self, deep: bool = True) -> dict[str, JsonValue]:
        """Return the constructor's arguments by name."""
        return {name: getattr(self, name) for name in self._get_param_names()}

    def set_params(self, **params: object) -> Self:
        """Set arguments of the constructor; a `ValueError` if there is none of that name."""
        known = self._get_param_names()
        for name, value in params.items():
            if name not in known:
                raise ValueError(f"Invalid parameter {name!r} for estimator {self}. Valid parameters are: {known}.")
            setattr(self, name, value)
        return self

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the share of rows whose label is predicted."""
        from sklearn.metrics import accuracy_score

        return float(accuracy_score(y, self.predict(X), sample_weight=sample_weight))  # type: ignore[attr-defined]

    def __sklearn_tags__(self) -> Tags:
        """Tell scikit-learn that it is a classifier of labelled rows."""
        from sklearn.utils import ClassifierTags, Tags, TargetTags

        return Tags(
            estimator_type="classifier",
            target_tags=TargetTags(required=True),
            transformer_tags=None,
            regressor_tags=None,
            classifier_tags=ClassifierTags(),
        )

    def __repr__(self) -> str:
        """Show the arguments that are not the usual ones."""
        usual = {name: each.default for name, each in signature(type(self)).parameters.items()}
        given = [f"{name}={value!r}" for name, value in self.get_params().items() if repr(value) != repr(usual[name])]
        return f"{type(self).__name__}({', '.join(given)})"

    def _require_fitted(self, *attributes: str) -> None:
        """Raise scikit-learn's `NotFittedError` where an attribute of a fit is absent; `classes_` if none is named."""
        if not all(hasattr(self, name) for name in attributes or ("classes_",)):
            from sklearn.utils.validation import check_is_fitted

            check_is_fitted(self, attributes or ("classes_",))
