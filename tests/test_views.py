"""Names of views, and what their store says of them."""

from __future__ import annotations

import pytest

from tedm.errors import TedmError
from tedm.views import ViewKind, image_of_view, view_name


@pytest.mark.parametrize("name", ["a", "a@2", "@", "scan 1", "ä@b@3"])
def test_a_views_name_tells_its_image(name: str) -> None:
    assert image_of_view(view_name(name, 12)) == name


def test_a_kind_is_read_as_it_was_recorded() -> None:
    kind = ViewKind("intensity", 3)
    assert ViewKind.recorded(kind.record(), "x") == kind


@pytest.mark.parametrize(
    "record", [{}, {"views": None}, {"views": {"changes": "mirror", "seed": 0}}, {"views": {"changes": "full", "seed": "0"}}]
)
def test_a_kind_that_is_not_known_is_refused_in_one_line(record: dict) -> None:  # type: ignore[type-arg]
    with pytest.raises(TedmError, match="the views in x do not say how they were made .*; delete that folder") as refused:
        ViewKind.recorded(record, "x")
    assert "\n" not in str(refused.value)
