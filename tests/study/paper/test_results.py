"""What a study found is checked before anything is made of it, and has the paper's order."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from paper_study import ODD

from tedm.errors import TedmError
from tedm.study.paper import PaperResults, Picture
from tedm.study.paper.results import in_order, require_sound


def test_methods_come_in_the_papers_order_and_others_behind_them_in_natural_order() -> None:
    assert in_order(["t = 50", "tedm", "t = 1", "ledm", "unet"], {}) == ["unet", "ledm", "tedm", "t = 1", "t = 50"]
    assert in_order(["tedm", "mine", "unet"], {"ledm": "mine"}) == ["unet", "mine", "tedm"]


def test_the_domain_that_was_learned_from_comes_first(results: PaperResults) -> None:
    assert results.domains == ["shenzhen", "kermany", "montgomery"]
    assert replace(results, home="montgomery").domains == ["montgomery", "kermany", "shenzhen"]
    assert replace(results, records=results.records[::-1], home=None).domains[0] == results.records[-1].domain


def test_probes_are_no_methods_and_are_ordered_by_timestep(results: PaperResults) -> None:
    assert results.methods == ["unet", "ledm", "ledme", "tedm", ODD]
    backwards = dict(reversed(list(results.probes.items())))
    assert list(replace(results, probes={"lost": 2, **backwards}).timesteps) == [1, 50, 400, 800]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"records": ()}, "there are no records to make the paper's tables of"),
        ({"home": "nowhere"}, "home is 'nowhere', and the domains of the records are kermany, montgomery, shenzhen"),
        ({"names": {"tdem": "tedm"}}, "names has tdem; the methods that can be named are unet, ledm, ledme, tedm"),
        ({"probes": {"a": 1, "b": 1}}, "the probes a and b both look at timestep 1; keep one"),
    ],
)
def test_results_that_make_no_sense_are_refused(results: PaperResults, changes: dict[str, object], said: str) -> None:
    with pytest.raises(TedmError) as raised:
        require_sound(replace(results, **changes))  # type: ignore[arg-type]
    assert said in str(raised.value)
    require_sound(results)


def test_pictures_whose_arrays_do_not_fit_and_records_of_no_image_are_refused_at_once(results: PaperResults) -> None:
    mask = np.eye(4, dtype=np.uint8)
    wrong = Picture(mask / 2, mask, {("tedm", 1): mask[:3]}, "a")
    empty = Picture(mask / 2, mask[:2], {})
    none = replace(results.records[0], n=0)
    with pytest.raises(TedmError) as raised:
        require_sound(replace(results, pictures=(wrong, empty), records=(none, *results.records)))
    told = str(raised.value)
    assert "picture a: the mask of tedm, n = 1 is of shape (3, 4), the image of (4, 4)" in told
    assert "picture 2: the truth is of shape (2, 4), the image of (4, 4)" in told
    assert "picture 2 has no mask of any method; leave it out" in told
    assert f"n is below 1 in records of {none.method}" in told
