"""What is said of probes is what was found, and what could not be chosen is said."""

from __future__ import annotations

from tedm.heads import advice, probe
from tedm.heads.probing.findings import Findings
from tedm.heads.probing.plan import Plan, plan_probes
from tedm.heads.probing.run import run_probes
from tedm.heads.probing.voting_path import voting_paths

TRAIN, VAL, TEST = tuple("abcde"), tuple("fg"), tuple("hijk")


def test_without_val_images_nothing_is_chosen_and_that_is_said(store, relabel):
    relabel(store, **{name: {"split": "test"} for name in VAL})
    found = probe(store, sizes=(1,), repeats=2)
    assert found.paths == ()
    assert any("no labelled val image, so no timestep and no vote is chosen" in paragraph for paragraph in advice(found))


def test_findings_need_no_paths(store):
    plan: Plan = plan_probes(store, sizes=(1,), repeats=1, by="level")
    probed = run_probes(store, plan)
    assert voting_paths(store, plan, probed) == []
    found = Findings(store, plan, probed, [])
    assert "Of single levels" in advice(found)[-1]
    assert found.curves() == {}


def test_the_recommended_timesteps_are_those_of_the_path(probed):
    _, found = probed
    paragraphs = advice(found)
    for path in found.paths:
        timesteps = ",".join(map(str, sorted(path.timesteps[: path.chosen])))
        assert any(
            p.startswith(f"With n = {path.n}: {timesteps} (val {100 * path.val[path.chosen - 1]:.1f})") for p in paragraphs
        )
        (chosen,) = [vote for vote in found.chosen_votes[path.n] if vote.domain == "far"]
        assert any(p.startswith(f"n = {path.n}: ") and f"far {chosen.dice.mean:.1f} [" in p for p in paragraphs)
