"""Methods in a sentence each."""

from __future__ import annotations

from pathlib import Path

from tedm.heads import METHODS, Identity
from tedm.heads.segmenter.identity import Setting
from tedm.study.report.explained import OWN, SENTENCES, explained

ROOT = Path(__file__).resolve().parents[3]


def identity(label: str, **values: str) -> Identity:
    usual = {"timesteps": "1,10,25,50,200,400,600,800", "members": "1"}
    return Identity(label, tuple(Setting(name, value, usual.get(name)) for name, value in values.items()))


def test_every_method_has_a_sentence_and_the_docs_have_the_same() -> None:
    assert set(SENTENCES) == {*METHODS, "timestep:T"}
    page = (ROOT / "docs" / "methods.md").read_text()
    assert [name for name, sentence in SENTENCES.items() if f"| `{name}` | {sentence} |" not in page] == []


def test_a_known_name_gets_its_sentence_and_what_its_name_adds() -> None:
    said = dict(explained(["tedm", "timestep:50", "tedm@1,50", "ledm, members 3", "tedm+largest=2+fill-holes"]))
    assert said["tedm"] == SENTENCES["tedm"]
    assert "at one level of noise, 50 (small" in said["timestep:50"]
    assert said["tedm@1,50"] == f"{SENTENCES['tedm']} Here with the levels of noise 1, 50 alone."
    assert said["ledm, members 3"] == f"{SENTENCES['ledm']} Here with members 3."
    assert said["tedm+largest=2+fill-holes"] == f"{SENTENCES['tedm']} Its masks were cleaned: largest=2, fill-holes."


def test_many_single_timesteps_share_a_row() -> None:
    said = explained(["tedm", "timestep:1", "timestep:10", "timestep:50", "timestep:800", "unet"])
    assert [name for name, _ in said] == ["tedm", "timestep:1 to timestep:800 (4)", "unet"]
    assert said[1][1] == SENTENCES["timestep:T"]


def test_settings_that_change_what_is_said_are_told() -> None:
    known = {"tedm": identity("tedm", head="mlp", rows="share", timesteps="1,50", members="1")}
    assert dict(explained(["tedm"], known))["tedm"] == f"{SENTENCES['tedm']} Here with timesteps 1,50."


def test_a_head_of_ones_own_is_explained_by_its_settings_or_is_not() -> None:
    known = {
        "mine": identity("mine", head="sklearn:ensemble.RandomForestClassifier", rows="concatenate", timesteps="1,50"),
        "net": identity("net", head="unet"),
    }
    said = dict(explained(["mine", "net", "tree", "mine+fill-holes"], known))
    assert (
        said["mine"]
        == f"{OWN} The classifier RandomForestClassifier; it looks at each pixel at the levels of noise 1, 50 at once."
    )
    assert said["net"] == f"{OWN} A segmentation network; it looks at the images themselves."
    assert said["tree"] == f"{OWN} What it is stands below, where it says what was run on what."
    assert said["mine+fill-holes"] == f"{said['mine']} Its masks were cleaned: fill-holes."
