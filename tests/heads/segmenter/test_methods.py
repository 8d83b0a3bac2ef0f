"""The published methods, and the names that users give."""

from __future__ import annotations

import json

import pytest

from tedm.errors import TedmError
from tedm.heads import method_named
from tedm.heads.base.registry import make_head
from tedm.heads.segmenter.methods import LONGEST_NAME, committee_of, require_name
from tedm.heads.segmenter.published import PUBLISHED


def test_methods_are_the_papers():
    tedm, ledm, ledme = (method_named(name) for name in ("tedm", "ledm", "ledme"))
    assert tedm.timesteps == ledme.timesteps == (1, 10, 25, 50, 200, 400, 600, 800)
    assert ledm.timesteps == (50, 150, 250)
    assert [(m.rows, m.members, m.vote) for m in (tedm, ledm, ledme)] == [
        ("share", 1, "soft"),
        ("concatenate", 10, "hard"),
        ("concatenate", 10, "hard"),
    ]
    probe = method_named("timestep:50")
    assert (probe.head, probe.timesteps, probe.name) == ("logistic", (50,), "timestep:50")
    assert method_named("tedm", head="logistic").name == "tedm-logistic"
    for wrong in ("nnunet", "timestep", "timestep:-1", "timestep:x"):
        with pytest.raises(TedmError, match="there is no method"):
            method_named(wrong)
    with pytest.raises(TedmError, match="--members is 0; it must be at least 1"):
        method_named("tedm", members=0)
    with pytest.raises(TedmError, match="5 members of logistic would be equal; --members is for --head mlp"):
        method_named("tedm", head="logistic", members=5)


def test_what_the_user_names_overrides_the_method():
    ledm = method_named("ledm", timesteps=[3, 7], rows="share", vote="soft", members=4)
    assert (ledm.timesteps, ledm.rows, ledm.vote, ledm.members, ledm.head) == ((3, 7), "share", "soft", 4, "mlp")
    assert method_named("ledm", head="logistic").members == 1  # an ensemble of equals is none
    assert method_named("ledm", head="mlp").members == 10
    assert method_named("tedm", head="sklearn:ensemble.RandomForestClassifier").name == "tedm-RandomForestClassifier"
    with pytest.raises(TedmError, match="there is no head 'forest'; choose one of mlp, logistic, xgboost"):
        method_named("tedm", head="forest")


@pytest.mark.parametrize("name", ["", " ", "two\nlines", " head", "tail ", "x" * (LONGEST_NAME + 1)])
def test_a_name_that_cannot_stand_in_a_table_is_refused(name):
    assert require_name("tedm, long") == "tedm, long"
    with pytest.raises(TedmError, match="cannot stand in a table"):
        require_name(name)


def test_baselines_are_one_head_that_looks_at_images_with_settings_of_its_own():
    wanted = {
        "unet": {},
        "global-cl": {"network": "tedm", "start": "global-cl"},
        "global-local-cl": {"network": "tedm", "start": "global-local-cl"},
        "ddpm-finetune": {"network": "tedm", "start": "diffusion"},
    }
    for name, settings in wanted.items():
        method = method_named(name)
        assert (method.name, method.head, method.timesteps, method.members, method.vote) == (name, "unet", (), 1, "soft")
        assert method.settings == settings
        head = make_head(method.head, params=method.settings)
        assert head.capabilities.looks_at_images
        assert {name: head.constructor()[name] for name in settings} == settings
    assert method_named("tedm").settings == {}


def test_a_committee_has_the_timesteps_of_its_methods_and_their_settings():
    tedm, ledm, unet = (method_named(name) for name in ("tedm", "ledm", "ddpm-finetune"))
    both = committee_of("both", [ledm, tedm, unet])
    assert (both.name, both.head, both.rows, both.members, both.vote) == ("both", "committee", "concatenate", 3, "soft")
    assert both.timesteps == tuple(sorted({*tedm.timesteps, *ledm.timesteps}))
    assert not both.looks_at_images
    parts = both.settings["parts"]
    assert [(part["name"], part["head"], part["vote"], part["members"]) for part in parts] == [
        ("ledm", "mlp", "hard", 10),
        ("tedm", "mlp", "soft", 1),
        ("ddpm-finetune", "unet", "soft", 1),
    ]
    assert [part["pixels_per_batch"] for part in parts] == [64, 512, 512]
    assert parts[2]["settings"] == {"network": "tedm", "start": "diffusion"}
    assert json.loads(json.dumps(both.settings)) == both.settings
    published = committee_of("published", [method_named("tedm", published=True), ledm])
    assert published.settings["parts"][0]["settings"] == PUBLISHED["tedm"]
    assert not published.published


def test_what_makes_no_committee_is_refused_in_one_line():
    tedm, ledm = method_named("tedm"), method_named("ledm")
    unet, other = method_named("unet"), method_named("global-cl")
    for name, methods, message in (
        ("one", [tedm], "a committee has 2 to 16 parts, and 1 is named"),
        ("none", [], "a committee has 2 to 16 parts, and none is named"),
        ("twice", [tedm, tedm], "two parts of the committee are called 'tedm'"),
        ("images", [unet, other], "all parts of the committee look at images"),
        ("nested", [committee_of("both", [tedm, ledm]), unet], "the part 'both' of the committee: it is a committee itself"),
        ("learned", [tedm, method_named("ledm", vote="learned")], "ledm votes by weights that it has yet to learn"),
        ("a\nb", [tedm, ledm], "cannot stand in a table"),
    ):
        with pytest.raises(TedmError, match=message) as raised:
            committee_of(name, methods)
        assert "\n" not in str(raised.value)


def test_a_timestep_in_a_methods_name_is_the_one_that_it_reads():
    assert method_named("timestep:7", timesteps=[7]).timesteps == (7,)
    with pytest.raises(TedmError, match="timestep:7 reads the timestep 7, and 1, 50 are asked for: leave out one of them"):
        method_named("timestep:7", timesteps=[1, 50])
