"""A study's file: what it comes to, and what is wrong with it, all at once and before anything is opened."""

from __future__ import annotations

from pathlib import Path

import pytest
from trial_study import METHODS, SCORE, TITLE, of_store, write_study

from tedm.errors import TedmError
from tedm.study import read_study
from tedm.study.trial.spec import ScoreAsked

STORE = of_store(Path("/nowhere"))


def test_what_a_file_says_is_what_is_asked(tmp_path: Path) -> None:
    head = TITLE + 'metric = "iou"\ncounts = "groups"\nseeds_at = {3 = [5]}\n'
    study = read_study(write_study(tmp_path, "store = 'mine'", head=head))
    assert (study.title, study.sizes, study.metric, study.correction, study.counts) == ("Tiny", (1, 3), "iou", "holm", "groups")
    assert study.path(study.features.store or "") == tmp_path / "mine"
    assert study.score == (ScoreAsked(domain="here"), ScoreAsked(domain="there"))
    tedm, ledm, probe = study.methods
    assert (tedm.settled().timesteps, tedm.options.iterations, ledm.settled().members) == ((1, 50), 20, 2)
    assert probe.settled().timesteps == (50,)
    assert list(study.runs_of(tedm)) == [(1, 0), (1, 1), (3, 5)]


def test_all_problems_of_a_file_are_told_at_once(tmp_path: Path) -> None:
    methods = (
        '[[methods]]\nmethod = "tedn"\n[[methods]]\nmethod = "tedm"\niteration = 5\n'
        '[[methods]]\nmethod = "ledm"\nrows = "shared"\nname = "a@b"\n[[methods]]\nmethod = "ledme"\nseeds = [1, 1]\n'
    )
    head = TITLE.replace("[1, 3]", "[]") + 'metrik = "dice"\nseeds_at = {7 = [-1]}\n'
    path = write_study(
        tmp_path, "store = 's'\ntimestep = [1]", head=head, score=SCORE + "[[score]]\ndistances = true\n", methods=methods
    )
    with pytest.raises(TedmError) as refused:
        read_study(path)
    lines = [line.strip() for line in str(refused.value).splitlines()]
    assert lines[0] == f"{path} cannot be followed:"
    for line in (
        "'metrik' means nothing here (did you mean metric?)",
        "features: 'timestep' means nothing here (did you mean timesteps?)",
        "score 3: ignore, distances and tolerance are for whole volumes; name their masks with volumes",
        "methods 2 (tedm): 'iteration' means nothing here (did you mean iterations?)",
    ):
        assert line in lines
    assert any(line.startswith("methods 1 (tedn): there is no method 'tedn'") for line in lines)
    assert any(line.startswith("methods 3 (a@b): rows is 'shared': choose one of share, concatenate") for line in lines)


WRONG = {
    "empty sizes": (("sizes = [1, 3]", "sizes = []"), "sizes is empty"),
    "a size of none": (("sizes = [1, 3]", "sizes = [0, 3]"), "sizes has 0; numbers are from 1 on"),
    "a size twice": (("sizes = [1, 3]", "sizes = [3, 3]"), "sizes names a number twice"),
    "a negative seed": (("seeds = [0, 1]", "seeds = [-1]"), "seeds has -1; numbers are from 0 on"),
    "sizes in words": (("sizes = [1, 3]", 'sizes = ["all"]'), "sizes is ['all']: Expected `int`"),
    "another size's seeds": (("seeds = [0, 1]", "seeds = [0]\nseeds_at = {7 = [1]}"), "seeds_at: 7 is none of the sizes"),
    "no features": (("[features]\n" + STORE, ""), "features is missing"),
    "neither store nor images": ((STORE, ""), "features: name a store that is there, or images and the checkpoint"),
    "both": ((STORE, STORE + "\nlayout = 'native'"), "layout is for those to be extracted; leave out one"),
    "an unknown layout": ((STORE, "layout = 'flat'"), "layout is 'flat': choose one of upsampled, native"),
    "percentiles alone": ((STORE, "images = 'a'\ncheckpoint = 'b'\npercentiles = [1, 99]"), 'for normalise = "quantile"'),
    "no method": ((METHODS, ""), "methods is missing"),
    "methods as a table": ((METHODS, "[methods]\nmethod = 'tedm'\n"), "methods should be written [[methods]]"),
    "a method twice": (("[[methods]]\n", "[[methods]]\nmethod = 'tedm'\n[[methods]]\n"), "two methods are called tedm"),
    "one part twice": ((SCORE, "[[score]]\n[[score]]\n"), "score: two are the same"),
    "a metric of volumes": (("seeds =", 'metric = "hd95"\nseeds ='), "metric: hd95 is a measure of volumes"),
    "an unknown metric": (("seeds =", 'metric = "dise"\nseeds ='), "(did you mean dice?)"),
    "members of one": (('timestep:50"', 'timestep:50"\nmembers = 3'), "3 members of logistic would be equal"),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_file_that_cannot_be_followed_is_refused(what: str, tmp_path: Path) -> None:
    (was, now), message = WRONG[what]
    path = write_study(tmp_path, STORE)
    path.write_text(path.read_text().replace(was, now, 1))
    with pytest.raises(TedmError) as refused:
        read_study(path)
    assert message in str(refused.value)
