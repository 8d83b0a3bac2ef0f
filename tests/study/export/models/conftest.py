"""A model folder with all that it can have."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import invoke


@pytest.fixture(scope="session")
def scored(extracted: Path, fitted: Path) -> Path:
    """The folder of an evaluation of the fitted head."""
    from tedm.cli import evaluate

    folder = extracted.parent / "scored"
    invoke(evaluate.main, extracted, fitted, "--folder", folder)
    return folder


@pytest.fixture(scope="session")
def exported(fitted: Path, checkpoint: Path, scored: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The fitted head with its backbone, its scores and an ONNX file."""
    for name in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(name, reason="needs the extra `onnx`")
    from tedm.cli.exports import export

    folder = tmp_path_factory.mktemp("exported") / "blobs"
    options = ["--checkpoint", checkpoint, "--with-backbone", "--onnx", "--scores", scored, "--licence", "cc-by-4.0"]
    printed = invoke(export.main, fitted, folder, *options)
    assert "blobs: 11 files" in printed
    return folder
