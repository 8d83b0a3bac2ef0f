"""The model card is one that the hub's own reader takes, and says what a reader must know."""

from __future__ import annotations

import dataclasses
import re

import pytest
import yaml

from tedm.extract import load_backbone
from tedm.heads import load_head, method_named
from tedm.study.export.models.card import card_of, metadata_of
from tedm.study.export.models.chain import Chain
from tedm.study.export.models.described import Contents
from tedm.study.export.models.parity import Agreement

HOSTILE = 'a|b <script>: "q" #*{} ä'


def head_of(card: str) -> dict:
    return yaml.safe_load(card.split("---\n")[1])


def test_the_hubs_own_reader_takes_the_card(exported):
    """It parses the metadata and makes results of them; a mistake in these raises."""
    hub = pytest.importorskip("huggingface_hub", reason="needs the extra `diffusers`")
    card = hub.ModelCard((exported / "README.md").read_text(), ignore_metadata_errors=False)
    data = card.data
    assert (data.license, data.library_name, data.pipeline_tag) == ("cc-by-4.0", "tedm", "image-segmentation")
    assert {"tedm", "onnx", "mlp"} <= set(data.tags)
    assert data.metrics == ["dice", "iou"]
    assert [(each.dataset_name, each.metric_type) for each in data.eval_results] == [
        ("here, split test", "dice"),
        ("here, split test", "iou"),
        ("there, split test", "dice"),
        ("there, split test", "iou"),
    ]
    assert all(0 <= each.metric_value <= 1 and each.task_type == "image-segmentation" for each in data.eval_results)
    assert hub.ModelCard(str(card)).data.to_dict() == data.to_dict()


def test_a_card_says_data_scores_use_limits_and_licence(exported):
    card = (exported / "README.md").read_text()
    titles = re.findall(r"^## (.*)$", card, re.MULTILINE)
    assert titles == [
        "What it was made from",
        "Scores",
        "What it is for, and what not",
        "With tedm",
        "Without tedm: model.onnx",
        "Files",
        "Licence",
    ]
    for words in (
        "Learned from 4 labelled images of 4 groups (patients): all labelled pixels.",
        "It is no medical device",
        "tedm predict IMAGES FOLDER masks --checkpoint FOLDER/backbone.safetensors",
        "| `noise` | [2, 1, 1, 16, 16] |",
        "`cc-by-4.0`, by whoever made it. The backbone in it has its own authors and terms.",
    ):
        assert words in card


def test_a_card_without_licence_scores_or_backbone_says_so(fitted):
    head = load_head(fitted)
    card = card_of(head, Contents("blobs"))
    assert head_of(card)["license"] == "other"
    assert "**No licence was chosen for this model**" in card
    assert "None was given: score it on images of yours" in card
    assert "Its backbone is not in it" in card
    assert head.settings.checkpoint_sha256 in card
    assert "ONNX" not in card
    assert "model-index" not in head_of(card)


def test_names_of_any_kind_are_shown_as_they_are(fitted):
    head = dataclasses.replace(load_head(fitted), class_names=("none", HOSTILE))
    card = card_of(head, Contents(HOSTILE))
    assert "<script>" not in card.split("---\n", 2)[2]
    assert r"a\|b \<script\>" in card
    assert metadata_of(head, Contents(HOSTILE)) == head_of(card)


def test_specks_that_are_not_in_the_file_are_said(checkpoint, fitted):
    head = load_head(fitted)
    head = dataclasses.replace(head, method=dataclasses.replace(head.method, specks=0.1), smallest_parts=(0.0, 40.0))
    chain = Chain(head, load_backbone(checkpoint))
    contents = Contents("blobs", chain=chain, agreement=Agreement(2, 1e-6, 1e-6, 1e-3, 0.0))
    assert "components smaller than 0, 4 pixels by class" in card_of(head, contents)


def test_a_card_for_volumes_says_how_slices_are_called(checkpoint, fitted):
    head = load_head(fitted)
    head = dataclasses.replace(head, settings=dataclasses.replace(head.settings, axis="axial"))
    contents = Contents("blobs", chain=Chain(head, load_backbone(checkpoint)), agreement=Agreement(2, 1e-6, 1e-6, 1e-3, 0.0))
    card = card_of(head, contents)
    assert "of a slice, that of its volume and its index: NAME_007" in card
    assert "Slices of volumes become squares in [0, 1] as `config.json` says" in card


def test_a_head_that_looks_at_images_needs_no_checkpoint(fitted):
    head = dataclasses.replace(load_head(fitted), method=method_named("unet"))
    card = card_of(head, Contents("blobs"))
    assert "The network looks at the images themselves, at 16 x 16 pixels" in card
    assert "--checkpoint" not in card
