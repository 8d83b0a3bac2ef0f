"""An ONNX file as the BioImage Model Zoo describes a model: `rdf.yaml`, and arrays by which a program can test itself.

The description is of format 0.5 (https://bioimage.io/docs): each input and output with its axes, an example of each, and the
weights with their SHA-256. Somebody who has only the folder can run the file on the examples, and has to get the same numbers.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import tedm
from tedm.files import digest_of_file
from tedm.heads import Segmenter
from tedm.jsons import JsonObject, JsonValue
from tedm.study.export.models.described import ONNX, Contents, named_classes
from tedm.study.export.models.onnx_file import OPSET

DESCRIPTION, FORMAT = "rdf.yaml", "0.5.3"
# Identifiers of SPDX are spelled with capitals, those of the hub are not; of others all letters are capital.
SPELLED = {"mit": "MIT", "apache-2.0": "Apache-2.0", "bsd-2-clause": "BSD-2-Clause", "bsd-3-clause": "BSD-3-Clause"}
LONGEST, SHORTEST = 128, 5  # characters of a name


def example_file(tensor: str) -> str:
    """Return what the file of an example of an input or output is called."""
    return f"test-{tensor}.npy"


def write_bioimage(head: Segmenter, contents: Contents, tensors: Mapping[str, NDArray[np.float32]], folder: Path) -> None:
    """Write the description and the examples beside an ONNX file.

    Parameters
    ----------
    head : Segmenter
    contents : Contents
        With a chain.
    tensors : mapping of str to array
        An example of each input and output, by its name.
    folder : Path
        Where the ONNX file is.
    """
    for name, values in tensors.items():
        np.save(folder / example_file(name), values)
    text = json.dumps(description(head, contents, folder), indent=1, ensure_ascii=False)  # YAML includes JSON
    (folder / DESCRIPTION).write_text(text + "\n", encoding="utf-8")


def description(head: Segmenter, contents: Contents, folder: Path) -> JsonObject:
    """Return what `rdf.yaml` says.

    Parameters
    ----------
    head : Segmenter
    contents : Contents
        With a chain.
    folder : Path
        Where the files that it names are.
    """
    chain, settings = contents.chain, head.settings
    assert chain is not None  # asked before
    square: list[JsonValue] = [{"type": "space", "id": axis, "size": settings.image_size} for axis in "yx"]
    one: JsonObject = {"type": "batch", "size": 1}
    shown: JsonObject = {
        "type": "channel",
        "channel_names": [f"channel{number}" for number in range(settings.image_channels)],
    }
    classes: JsonObject = {"type": "channel", "channel_names": [f"class{value}" for value, _ in named_classes(head)]}
    voters = chain.ballot.get_buffer("weights").shape[0]
    names = ", ".join(f"class{value}: {name}" for value, name in named_classes(head))
    inputs: list[JsonValue] = [_tensor("image", "In [0, 1], black to white.", [one, shown, *square], folder)]
    if "noise" in chain.inputs:
        timesteps, draws = chain.inputs["noise"][:2]
        levels: JsonObject = {"type": "time", "id": "timestep", "size": timesteps}
        drawn: JsonObject = {"type": "index", "id": "draw", "size": draws}
        what = "Standard normal numbers; config.json says how those of tedm are drawn."
        inputs.append(_tensor("noise", what, [levels, drawn, shown, *square], folder))
    voter: JsonObject = {"type": "index", "id": "voter", "size": voters}
    values: dict[str, JsonValue] = {
        "type": "model",
        "format_version": FORMAT,
        "name": _name(contents.name),
        "description": f"Classes of pixels by the method {head.method.name} of tedm, features of a diffusion model included.",
        "documentation": "README.md",
        "tags": ["tedm", "segmentation", "few-labels", "diffusion-features"],
        "inputs": inputs,
        "outputs": [
            _tensor("probabilities", f"Of the classes, after the vote. {names}.", [one, classes, *square], folder),
            _tensor("opinions", "Probabilities of each voter.", [voter, classes, *square], folder),
        ],
        "weights": {"onnx": {**_file(folder / ONNX), "opset_version": OPSET}},
        "config": {"tedm": {"version": tedm.__version__, "checkpoint_sha256": settings.checkpoint_sha256}},
    }
    if contents.licence is not None:
        values["license"] = SPELLED.get(contents.licence, contents.licence.upper())
    return values


def _tensor(name: str, what: str, axes: list[JsonValue], folder: Path) -> JsonObject:
    about: JsonObject = {"type": "float32"}
    return {"id": name, "description": what, "axes": axes, "data": about, "test_tensor": _file(folder / example_file(name))}


def _file(path: Path) -> JsonObject:
    return {"source": path.name, "sha256": digest_of_file(path)}


def _name(name: str) -> str:
    """Return a name of letters, digits and the few marks that the format lets pass."""
    plain = "".join(letter if letter.isalnum() or letter in "_+- ()" else "-" for letter in name)[:LONGEST]
    return plain if len(plain) >= SHORTEST else f"tedm {plain}"
