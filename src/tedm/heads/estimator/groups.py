"""A search over parameters whose folds keep the images of a patient together.

Pixels of one image are alike: where some are learned from and others judged, every choice looks good. A splitter that asks for
groups (`GroupKFold`) is given those of the images.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection._search import BaseSearchCV
from sklearn.utils.metadata_routing import get_routing_for_object

from tedm.errors import TedmError
from tedm.store import Labels


def asks_for_groups(splitter: object) -> bool:
    """Whether a splitter cannot do without groups, or heeds them.

    Examples
    --------
    >>> from sklearn.model_selection import GroupKFold, KFold
    >>> asks_for_groups(GroupKFold()), asks_for_groups(KFold()), asks_for_groups(5)
    (True, False, False)
    """
    if splitter is None or isinstance(splitter, int):
        return False
    return bool(get_routing_for_object(splitter).split.requests.get("groups"))


def require_search(estimator: Any) -> None:
    """Refuse an estimator that has, somewhere inside, a splitter which nobody gives groups.

    Raises
    ------
    TedmError
        If such a splitter is elsewhere than in a search that is the whole estimator.
    """
    own = estimator.get_params(deep=False).get("cv") if isinstance(estimator, BaseSearchCV) else None
    for key, value in estimator.get_params(deep=True).items():
        if (key == "cv" or key.endswith("__cv")) and value is not own and asks_for_groups(value):
            raise TedmError(
                f"{key}={value!r} asks for groups, and only a search that is the whole head is given them: put "
                f"{type(estimator).__name__} into a GridSearchCV with this cv, or choose another cv here"
            )


def groups_of_rows(estimator: Any, labels: Labels, sizes: Mapping[str, int]) -> dict[str, NDArray[np.intp]]:
    """Return the argument of `fit` that carries the group of each row, for a search that asks for it.

    Parameters
    ----------
    estimator : estimator
    labels : Labels
        With the groups; an image without one is of its own.
    sizes : mapping of str to int
        How many rows each image has, in the order of the rows.
    """
    if not (isinstance(estimator, BaseSearchCV) and asks_for_groups(estimator.cv)):
        return {}
    groups = [group or name for name, group in zip(sizes, labels.group_of(list(sizes)), strict=True)]
    _, numbers = np.unique(groups, return_inverse=True)
    return {"groups": np.repeat(numbers, list(sizes.values()))}


def remark_on_folds(estimator: Any) -> list[str]:
    """Tell of a search that its folds may share images."""
    if not isinstance(estimator, BaseSearchCV) or asks_for_groups(estimator.cv):
        return []
    return [
        f"the folds of {type(estimator).__name__} share images and patients, so that its scores are too good; "
        "cv=model_selection.GroupKFold keeps patients together"
    ]
