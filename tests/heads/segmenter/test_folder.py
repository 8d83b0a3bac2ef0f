"""A head as a folder: small, plain, whole or not there, and the same bits when it is read."""

from __future__ import annotations

import dataclasses
import json
import zipfile
from pathlib import Path

import pytest
import torch

from tedm.errors import TedmError
from tedm.heads import load_head, save_head
from tedm.heads.mlp.head import MLPHead
from tedm.heads.mlp.network import Committee, hidden_sizes


@pytest.mark.parametrize("name", ["tedm", "ledm", "probe", "both"])
def test_a_saved_and_loaded_head_predicts_the_same_bits(heads, store, tmp_path, name):
    save_head(heads[name], tmp_path / "head")
    loaded = load_head(tmp_path / "head")
    for image in store.labels.names[:2]:
        block = store.block(image)
        assert loaded.opinions(block).tobytes() == heads[name].opinions(block).tobytes()
        assert loaded.probabilities(block).tobytes() == heads[name].probabilities(block).tobytes()
    assert loaded.provenance == heads[name].provenance
    assert loaded.method == heads[name].method
    assert sorted(file.name for file in (tmp_path / "head").iterdir()) == ["head.json", "weights.safetensors"]


def test_a_tedm_head_of_full_width_is_under_a_megabyte(heads, tmp_path):

    network = Committee(1, 960, hidden_sizes(2), 2, torch.Generator())
    estimator = MLPHead()
    estimator.network_, estimator.n_features_in_ = network.eval(), 960
    save_head(dataclasses.replace(heads["tedm"], estimator=estimator), tmp_path / "head")
    assert sum(file.stat().st_size for file in (tmp_path / "head").iterdir()) < 1_000_000


def test_a_damaged_or_newer_head_is_said(heads, tmp_path):
    with pytest.raises(TedmError, match="does not exist"):
        load_head(tmp_path / "head")
    save_head(heads["tedm"], tmp_path / "head")
    with pytest.raises(TedmError, match="is not empty"):
        save_head(heads["tedm"], tmp_path / "head")
    about = json.loads((tmp_path / "head" / "head.json").read_text())
    (tmp_path / "head" / "head.json").write_text(json.dumps({**about, "format": 2}))
    with pytest.raises(TedmError, match="install a newer tedm"):
        load_head(tmp_path / "head")
    (tmp_path / "head" / "head.json").write_text(json.dumps(about))
    weights = tmp_path / "head" / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(TedmError, match="is damaged"):
        load_head(tmp_path / "head")
    (tmp_path / "head" / "head.json").write_text("{")
    with pytest.raises(TedmError, match="is damaged"):
        load_head(tmp_path / "head")


def test_a_head_that_cannot_be_written_leaves_nothing(heads, tmp_path):
    unfitted = dataclasses.replace(heads["probe"], estimator=MLPHead())
    with pytest.raises(AttributeError):
        save_head(unfitted, tmp_path / "head")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").write_text("")
    with pytest.raises(TedmError, match="cannot write the head"):
        save_head(heads["probe"], tmp_path / "file" / "head")


DAMAGE = {
    "a method without its vote": lambda about: about["method"].pop("vote"),
    "timesteps that are texts": lambda about: about["method"].update(timesteps=["one"]),
    "classes that are none": lambda about: about.update(classes="0, 255"),
    "a layout that there is not": lambda about: about["method"].update(rows="stacked"),
    "parameters that are none": lambda about: about.update(parameters=[1]),
    "a parameter that there is not": lambda about: about["parameters"].update(strength=3),
    "settings without levels": lambda about: about["settings"].pop("levels"),
    "a name of two lines": lambda about: about.update(name="two\nlines"),
    "weights that are texts": lambda about: about.update(weights={"timesteps": [1], "values": [["high"]]}),
    "no format": lambda about: about.pop("format"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_description_that_is_wrong_somewhere_is_refused_in_one_line(heads, tmp_path, damage):
    save_head(heads["probe"], tmp_path / "head")
    description = tmp_path / "head" / "head.json"
    about = json.loads(description.read_text())
    DAMAGE[damage](about)
    description.write_text(json.dumps(about))
    with pytest.raises(TedmError, match=r"^the head .* is damaged \([^\n]*\); fit it again with tedm-fit$"):
        load_head(tmp_path / "head")


@pytest.mark.parametrize(
    ("head", "field", "value"),
    [
        ("timestep", ("parameters", "dtype"), []),
        ("timestep", ("parameters", "ridge"), None),
        ("forest", ("parameters", "parameters"), float("inf")),
        ("timestep", ("features",), 10**30),
        ("tedm", ("parameters", "members"), 10**30),
        ("learned", ("weights", "values"), [[1]]),
        ("learned", ("weights", "values"), [[-1, 2]]),
    ],
)
def test_a_head_whose_parameters_or_sizes_are_nonsense_is_refused_before_it_takes_memory(tmp_path, head, field, value):
    with zipfile.ZipFile(Path(__file__).parents[2] / "data" / "before" / "unreleased.zip") as archive:
        archive.extractall(tmp_path)
    path = tmp_path / "heads" / head / "head.json"
    about = json.loads(path.read_text())
    place = about
    for key in field[:-1]:
        place = place[key]
    assert field[-1] in place
    place[field[-1]] = value
    path.write_text(json.dumps(about))
    with pytest.raises(TedmError, match=r"^the head .* is damaged \([^\n]*\); fit it again with tedm-fit$"):
        load_head(path.parent)
