"""A chain as an ONNX file, written by torch's exporter and without traces of where that was.

Of torch's two exporters the one that captures with `torch.export` is taken: the older one, by TorchScript, gives the same
numbers five times as fast, but is deprecated and keeps the sizes that it happened to see in silence.
"""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

import tedm
from tedm.errors import TedmError
from tedm.packages import package
from tedm.study.export.models.chain import Chain

OPSET = 18
OUTPUTS = ("probabilities", "opinions")
# A file of ONNX is one message of protobuf, which cannot be larger; a little room is for the graph.
LARGEST = 2**31 - 2**24
PACKAGES = ("onnx", "onnxscript", "onnxruntime")


def require_packages() -> None:
    """Refuse to begin where a package is missing that will be needed.

    Raises
    ------
    TedmError
        With what to install.
    """
    for name in PACKAGES:
        package(name, "onnx", "--onnx")


def write_onnx(chain: Chain, file: Path, *, about: dict[str, str], largest: int = LARGEST) -> None:
    """Write a chain as an ONNX file.

    Parameters
    ----------
    chain : Chain
    file : Path
        In a folder that is there.
    about : mapping of str to str
        What is written into the file's own metadata.
    largest : int
        Bytes of weights above which these lie in a second file, named as the first with `.data` behind it.

    Raises
    ------
    TedmError
        If the network has a part that torch cannot write.
    OSError
        If the disk is full, say.
    """
    onnx: Any = package("onnx", "onnx", "--onnx")
    shapes = chain.inputs
    inputs = tuple(torch.full(shape, 0.5) for shape in shapes.values())
    with _quiet():
        try:
            program = torch.onnx.export(
                chain.eval(),
                inputs,
                input_names=list(shapes),
                output_names=list(OUTPUTS),
                opset_version=OPSET,
                dynamo=True,
                verbose=False,
            )
            assert program is not None  # it is where no file is named
            model = program.model_proto
        except torch.onnx.OnnxExporterError as error:
            cause = " ".join(str(error.__cause__ or error).split())[:300]
            raise TedmError(
                f"torch {torch.__version__} cannot write this backbone as ONNX: {cause}\nLeave out --onnx: the head's "
                "folder needs none."
            ) from error
    _forget_where(model)
    model.producer_name, model.producer_version = "tedm", tedm.__version__
    for key, value in about.items():
        model.metadata_props.add(key=key, value=value)
    weights = sum(each.numel() * each.element_size() for each in chain.state_dict().values())
    beside = weights > largest
    onnx.save_model(model, str(file), save_as_external_data=beside, location=f"{file.name}.data", size_threshold=1024)


def _forget_where(model: Any) -> None:
    """Take out stack traces and names of source files: they are paths of this machine, and half of a small file."""
    graphs = [model.graph, *model.functions]
    for graph in graphs:
        graph.ClearField("metadata_props")
        graph.ClearField("doc_string")
        parts = [graph.node, graph.value_info]
        for field in ("input", "output", "initializer"):
            parts += [getattr(graph, field)] if graph is model.graph else []
        for part in (each for each in parts for each in each):
            part.ClearField("metadata_props")
            part.ClearField("doc_string")


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep what torch's exporter says of its own insides from whoever waits for a file."""
    disabled = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)
