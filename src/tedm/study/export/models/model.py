"""A head as a model folder: for the hub, and for whoever has none of this software.

The folder is a head again, with a model card and a description beside it, and on demand the backbone's checkpoint and one ONNX
file of both. It is written aside, and there when all of it is.
"""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import tedm
from tedm.errors import TedmError
from tedm.extract import Backbone
from tedm.files import free_space, new_folder, reserved
from tedm.heads import Segmenter, save_head
from tedm.study.export.models.bioimage import write_bioimage
from tedm.study.export.models.card import CARD, card_of
from tedm.study.export.models.chain import Chain, require_tensors
from tedm.study.export.models.described import NOISE, ONNX, Contents, config_of
from tedm.study.export.models.onnx_file import require_packages, write_onnx
from tedm.study.export.models.parity import Agreement, examples, noise_for, require_agreement
from tedm.study.export.models.scored import scores_of
from tedm.study.export.models.withheld import without_names
from tedm.study.stages import Log, Stages, mute, silent
from tedm.text import size as bytes_in_words

REMEDY = "make room or name another folder, and run the same command again"
CONFIG, BACKBONE, BACKBONE_CONFIG = "config.json", "backbone", "backbone-config.json"
# What the hub's identifiers of licences look like: apache-2.0, cc-by-nc-4.0, llama3.1.
LICENCE = re.compile(r"[a-z0-9][a-z0-9.+-]{0,60}")
# Room for what lies beside weights: descriptions, the graph, the card.
BESIDE = 2**22


@dataclass(frozen=True)
class ExportedModel:
    """What was written.

    Parameters
    ----------
    files : mapping of str to int
        Every file by its name in the folder, with its bytes.
    agreement : Agreement or None
        How far the ONNX file and the head are apart, if there is one.
    """

    files: dict[str, int]
    agreement: Agreement | None = None


def export_model(
    head: Segmenter,
    folder: Path,
    *,
    backbone: Backbone | None = None,
    checkpoint: Path | None = None,
    backbone_config: Path | None = None,
    with_backbone: bool = False,
    onnx: bool = False,
    scores: Path | None = None,
    licence: str | None = None,
    with_names: bool = False,
    head_name: str = "the head",
    progress: Stages = silent,
    log: Log = mute,
) -> ExportedModel:
    """Write a head as a model folder.

    Parameters
    ----------
    head : Segmenter
    folder : Path
        Not there yet, or empty; its name is the model's. It is whole in the end, or absent.
    backbone : Backbone or None
        The head's, freshly loaded; needed for `onnx` and `with_backbone`.
    checkpoint, backbone_config : Path or None
        The files that it was loaded from; `with_backbone` copies them, byte for byte.
    with_backbone : bool
        Also write the backbone's checkpoint.
    onnx : bool
        Also write one ONNX file, from an image and noise to probabilities. It is compared with the head by onnxruntime before
        the folder is put in place. For the heads mlp and logistic.
    scores : Path or None
        The folder of an evaluation (`tedm evaluate --folder`), for the card.
    licence : str or None
        An identifier of the hub's, "cc-by-4.0" say; None says in the card that none was chosen.
    with_names : bool
        Leave the names of training images and groups in the head; else they are withheld (`without_names`).
    head_name : str
        What the head is called in messages.
    progress, log
        See `tedm.study.stages`.

    Returns
    -------
    ExportedModel

    Raises
    ------
    TedmError
        Before anything is written, if the folder is taken or cannot be written, the backbone is missing, superfluous or another
        one, the head cannot be an ONNX file, a package is missing, the scores are of other heads, or the licence is no
        identifier. After it, if the ONNX file does not do what the head does, or the disk is full.

    Examples
    --------
    >>> from tedm.heads import load_head
    >>> export_model(load_head(Path("head")), Path("lungs"), licence="cc-by-4.0")  # doctest: +SKIP
    """
    if licence is not None and not LICENCE.fullmatch(licence):
        raise TedmError(
            f"--licence {licence!r} is no identifier of a licence as the hub has them; write it like cc-by-4.0, apache-2.0 "
            "or mit (https://huggingface.co/docs/hub/repositories-licenses lists them), or leave it out and say it in "
            "README.md"
        )
    _require_backbone(head, backbone, checkpoint, with_backbone=with_backbone, onnx=onnx, head_name=head_name)
    if onnx:
        require_tensors(head, head_name)
        require_packages()
    with reserved(folder, what="the model", remedy=REMEDY):
        told = () if scores is None else scores_of(head, scores)
        known, chain = head if with_names else without_names(head), None
        if backbone is not None:
            backbone = backbone.with_levels([level.name for level in head.settings.levels])
            chain = Chain(head, backbone) if onnx else None
        _require_room(folder, chain, checkpoint if with_backbone else None)
        with new_folder(folder, what="the model", remedy=REMEDY) as aside, progress("exporting") as show:
            stages = 2 + 2 * onnx + with_backbone
            save_head(known, aside / "head")
            for file in (aside / "head").iterdir():
                file.rename(aside / file.name)
            (aside / "head").rmdir()
            show(1, stages)
            copied = copied_config = None
            if with_backbone and checkpoint is not None:
                copied, copied_config = _copy(checkpoint, backbone_config, aside)
                show(2, stages)
            agreement = None
            if chain is not None and backbone is not None:
                about = {"checkpoint_sha256": head.settings.checkpoint_sha256, "tedm_version": tedm.__version__}
                write_onnx(chain, aside / ONNX, about=about)
                show(stages - 2, stages)
                agreement = require_agreement(head, backbone, aside / ONNX)
                show(stages - 1, stages)
                if head.settings.noise == "shared":
                    np.save(aside / NOISE, noise_for(head.settings, head.vote().timesteps, ""))
            contents = Contents(
                name=folder.resolve().name,
                licence=licence,
                backbone=backbone,
                backbone_file=copied,
                backbone_config=copied_config,
                chain=chain,
                agreement=agreement,
                scores=told,
                names=with_names,
            )
            if chain is not None:
                write_bioimage(head, contents, examples(head, aside / ONNX), aside)
            config = json.dumps(config_of(known, contents), indent=1, ensure_ascii=False)
            (aside / CONFIG).write_text(config + "\n", encoding="utf-8")
            (aside / CARD).write_text(card_of(known, contents), encoding="utf-8")
            files = {str(file.relative_to(aside)): file.stat().st_size for file in sorted(aside.rglob("*")) if file.is_file()}
            show(stages, stages)
    for remark in remarks_on(known, contents):
        log(f"note: {remark}")
    return ExportedModel(files, agreement)


def _require_backbone(
    head: Segmenter, backbone: Backbone | None, checkpoint: Path | None, *, with_backbone: bool, onnx: bool, head_name: str
) -> None:
    """Refuse a backbone that is missing, superfluous or another one."""
    wanted = [option for option, asked in (("--onnx", onnx), ("--with-backbone", with_backbone)) if asked]
    if head.method.looks_at_images:
        if with_backbone or backbone is not None:
            raise TedmError(f"{head_name} looks at images and has no backbone: leave out --checkpoint and --with-backbone")
        return
    expected = head.settings.checkpoint_sha256
    if backbone is None:
        if wanted:
            raise TedmError(
                f"{' and '.join(wanted)} needs the backbone of {head_name}, which no head has inside: name its checkpoint, "
                f"wherever it lies, with --checkpoint FILE\n  its SHA-256 is {expected}"
            )
        return
    if backbone.sha256 != expected:
        what = "the backbone" if checkpoint is None else str(checkpoint)
        raise TedmError(
            f"{what} is not the backbone of {head_name}\n  SHA-256: the head's {expected}, this one's {backbone.sha256}\n"
            "Name the checkpoint that its store was extracted with, and the same --backbone-config if there was one."
        )
    if with_backbone and checkpoint is None:
        raise TedmError(
            "--with-backbone copies a checkpoint, and a network of a function of yours is none: name a file with "
            "--checkpoint, or leave out --with-backbone"
        )


def _require_room(folder: Path, chain: Chain | None, checkpoint: Path | None) -> None:
    """Refuse a disk that does not hold what is to be written, before the minutes that this takes."""
    need = BESIDE
    if chain is not None:
        need += sum(each.numel() * each.element_size() for each in chain.state_dict().values())
    if checkpoint is not None:
        files = checkpoint.rglob("*") if checkpoint.is_dir() else [checkpoint]
        need += sum(file.stat().st_size for file in files if file.is_file())
    free = free_space(folder)
    if free < need:
        raise TedmError(
            f"{folder} needs {bytes_in_words(need)} and its disk has {bytes_in_words(free)} left; make room or name another "
            "folder"
        )


def _copy(checkpoint: Path, config: Path | None, aside: Path) -> tuple[str, str | None]:
    """Copy a checkpoint, a file or a folder, and its settings; return what they are called."""
    name = BACKBONE if checkpoint.is_dir() else f"{BACKBONE}{checkpoint.suffix}"
    if checkpoint.is_dir():
        shutil.copytree(checkpoint, aside / name)
    else:
        shutil.copyfile(checkpoint, aside / name)
    if config is None:
        return name, None
    shutil.copyfile(config, aside / BACKBONE_CONFIG)
    return name, BACKBONE_CONFIG


def remarks_on(head: Segmenter, contents: Contents) -> list[str]:
    """Return in sentences what whoever publishes a folder should know."""
    remarks = []
    if contents.licence is None:
        remarks.append("no licence was chosen, and README.md says so: --licence cc-by-4.0, say, before you publish it")
    if contents.names:
        remarks.append("head.json has the names of the training images and their groups: see that no patient is named by them")
    elif head.settings.normalisation is not None and head.settings.normalisation.patients:
        remarks.append(
            "the patients whose voxels the normalisation is over are not named in it: it predicts from volumes, and tedm "
            "takes a store of those patients for another one (use the original head there)"
        )
    if contents.chain is not None and head.arithmetic.precision != "float32":
        remarks.append(
            f"the head's features were computed in {head.arithmetic.precision}, and model.onnx computes in float32: "
            "it differs from tedm predict by what that rounds"
        )
    if contents.backbone_file:
        remarks.append("the backbone's checkpoint is in it as its authors wrote it: see that their terms let you pass it on")
    return remarks
