"""config.json has what somebody needs who has none of our software, and is JSON."""

from __future__ import annotations

import dataclasses
import json

import pytest

import tedm
from tedm.extract import load_backbone
from tedm.heads import load_head
from tedm.study.export.models.described import Contents, config_of, groups_of


def strict(values):
    """As a parser sees it that knows no NaN."""

    def refuse(text):
        raise AssertionError(text)

    return json.loads(json.dumps(values), parse_constant=refuse)


def test_a_folder_of_everything_says_all_of_it(exported, checkpoint, fitted):
    about = strict(json.loads((exported / "config.json").read_text()))
    head, backbone = load_head(fitted), load_backbone(checkpoint)
    assert (about["tedm_version"], about["name"], about["license"]) == (tedm.__version__, "blobs", "cc-by-4.0")
    assert about["method"]["timesteps"] == [1, 50]
    assert about["classes"] == [{"index": 0, "value": 0, "name": "class 0"}, {"index": 1, "value": 255, "name": "class 255"}]
    assert about["image"] | {"channel_names": None} == {
        "size": 16,
        "channels": 1,
        "geometry": "pad",
        **dict.fromkeys(("intensity_range", "channel_names", "axis", "crop", "normalisation")),
    }
    assert about["backbone"]["sha256"] == backbone.sha256 == head.settings.checkpoint_sha256
    assert (about["backbone"]["family"], about["backbone"]["file"]) == ("tedm", "backbone.safetensors")
    assert about["schedule"]["alphas_cumprod"]["50"] == pytest.approx(backbone.schedule.alphas_cumprod[50], abs=1e-12)
    assert about["onnx"]["inputs"] == {"image": [1, 1, 16, 16], "noise": [2, 1, 1, 16, 16]}
    assert about["onnx"]["outputs"] == {"probabilities": [1, 2, 16, 16], "opinions": [2, 2, 16, 16]}
    assert about["onnx"]["agreement"]["opinions"] < 1e-4
    assert about["noise"]["mode"] == "per-image"
    assert {score["domain"] for score in about["scores"]} == {"here", "there"}
    assert about["trained_on"] == {"images": 4, "groups": 4, "labels_used": 4}


def test_without_a_backbone_its_fingerprint_is_there_and_its_family_is_not(fitted):
    about = strict(config_of(load_head(fitted), Contents("blobs")))
    assert about["backbone"]["sha256"] == load_head(fitted).settings.checkpoint_sha256
    assert about["backbone"]["family"] is None
    assert {"onnx", "schedule"} & set(about) == set()
    assert about["license"] is None


def test_names_and_colours_of_classes_are_told(fitted):
    head = dataclasses.replace(load_head(fitted), class_names=("nothing", "blob"), class_colours=("#000000", "#ff0000"))
    assert config_of(head, Contents("blobs"))["classes"][1] == {"index": 1, "value": 255, "name": "blob", "colour": "#ff0000"}


def test_groups_that_nobody_declared_are_not_counted(fitted):
    head = load_head(fitted)
    assert groups_of(head) == 4
    own = tuple(dataclasses.replace(each, group=each.name) for each in head.provenance.learned_from)
    assert groups_of(dataclasses.replace(head, provenance=dataclasses.replace(head.provenance, learned_from=own))) is None
