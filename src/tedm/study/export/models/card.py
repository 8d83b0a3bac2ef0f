"""The model card: README.md with the hub's metadata above it.

It says what the model is, what it was made from and how well it does, what it is for and what not, and how to use it, in the
lines that a reader can run. Names of images and patients are not in it, whatever is in the head.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

import tedm
from tedm.heads import Segmenter, escape_markdown
from tedm.jsons import JsonObject, JsonValue
from tedm.study.export.models.described import NOISE, ONNX, Contents, groups_of, named_classes
from tedm.study.export.models.example import example_lines, is_of_pictures, noise_lines
from tedm.study.export.models.onnx_file import OPSET
from tedm.study.export.models.scored import Score
from tedm.text import counted, listed

NO_LICENCE = "other"
CARD = "README.md"


def card_of(head: Segmenter, contents: Contents) -> str:
    """Return the text of a model's README.md.

    Parameters
    ----------
    head : Segmenter
    contents : Contents
        What lies beside it.
    """
    parts = [
        f"---\n{_yaml(metadata_of(head, contents))}---\n",
        f"# {escape_markdown(contents.name)}\n",
        _what(head),
        f"## What it was made from\n\n{_data(head, contents)}",
        f"## Scores\n\n{_scores(contents.scores)}",
        f"## What it is for, and what not\n\n{_intended(head)}",
        f"## With tedm\n\n{_with_tedm(head, contents)}",
        *([f"## Without tedm: {ONNX}\n\n{_with_onnx(head, contents)}"] if contents.chain is not None else []),
        f"## Files\n\n{_files(head, contents)}",
        f"## Licence\n\n{_licence(contents)}",
    ]
    return "\n".join(parts)


def metadata_of(head: Segmenter, contents: Contents) -> JsonObject:
    """Return what the hub knows of a model: what stands above its card."""
    tags: list[JsonValue] = ["tedm", "medical", "segmentation", "few-labels", head.method.head.partition(":")[0]]
    if not head.method.looks_at_images:
        tags.append("diffusion-features")
    if contents.chain is not None:
        tags.append("onnx")
    values: dict[str, JsonValue] = {
        "license": contents.licence or NO_LICENCE,
        "library_name": "tedm",
        "pipeline_tag": "image-segmentation",
        "tags": tags,
    }
    means = [score for score in contents.scores if len(score.classes) == len(contents.scores[0].classes)]
    if means:
        values["metrics"] = list(dict.fromkeys(score.metric for score in means))
        domains = dict.fromkeys((score.domain, score.split) for score in means)
        results = [_result([score for score in means if (score.domain, score.split) == domain]) for domain in domains]
        values["model-index"] = [{"name": contents.name, "results": results}]
    return values


def _result(scores: Sequence[Score]) -> JsonObject:
    """Return the scores on one data set as the hub lists them."""
    metrics: list[JsonValue] = [
        {
            "type": score.metric,
            "name": f"{score.title}, mean of {listed(score.classes)} over {counted(score.images, 'image')}",
            "value": round(score.mean, 4),
        }
        for score in scores
    ]
    return {
        "task": {"type": "image-segmentation", "name": "Image segmentation"},
        "dataset": {"type": "private", "name": f"{scores[0].domain or 'images'}, split {scores[0].split or 'any'}"},
        "metrics": metrics,
    }


def _what(head: Segmenter) -> str:
    method, settings = head.method, head.settings
    size = f"{settings.image_size} x {settings.image_size} pixels, {counted(settings.image_channels, 'channel')}"
    classes = "\n".join(f"| {value} | {escape_markdown(name)} |" for value, name in named_classes(head))
    if method.looks_at_images:
        how = f"The network looks at the images themselves, at {size}."
    else:
        rows = "one classifier for all of them" if method.rows == "share" else "their activations side by side"
        members = f", {counted(method.members, 'member')}" if method.members > 1 else ""
        how = (
            f"A frozen diffusion model sees an image of {size} with noise of the timesteps {listed(method.timesteps)}; the "
            f"activations of its decoder are what a small classifier (`{method.head}`{members}; {rows}) tells the classes "
            f"of each pixel by. The opinions merge by the rule `{method.vote}`."
        )
    return (
        f"It segments images into classes, pixel by pixel, by the method `{escape_markdown(method.name)}` of tedm "
        f"{tedm.__version__}. {how}\n\n"
        f"| value in masks | class |\n|---|---|\n{classes}\n"
    )


def _data(head: Segmenter, contents: Contents) -> str:
    about, groups = head.provenance, groups_of(head)
    of = f" of {counted(groups, 'group')} (patients)" if groups else "; whose images they are was not declared"
    pixels = "all labelled pixels" if about.pixels_per_image is None else f"{about.pixels_per_image} labelled pixels of each"
    chosen = (
        f" {counted(len(about.chosen_on), 'further image')} decided something (when to stop, say)." if about.chosen_on else ""
    )
    volumes = "" if head.settings.axis is None else f" Images are slices of volumes, {head.settings.axis}."
    lines = [
        f"Learned from {counted(len(about.learned_from), 'labelled image')}{of}: {pixels}.{chosen} In all, "
        f"{counted(about.labels_used, 'labelled image')} were looked at to make it.{volumes}"
    ]
    if not head.method.looks_at_images:
        family = "" if contents.backbone is None else f" of the family `{contents.backbone.family}`"
        lines.append(
            f"The backbone{family} was trained before, without labels; its checkpoint has the SHA-256 "
            f"`{head.settings.checkpoint_sha256}`."
        )
    names = "Names of images and patients are not part of this card"
    if not contents.names:
        names += ", nor of the files; digests of the training images' pixels are, so that tedm scores nothing on them"
    lines.append(f"{names}.")
    return "\n\n".join(lines) + "\n"


def _scores(scores: Sequence[Score]) -> str:
    if not scores:
        return "None was given: score it on images of yours before you rely on it (`tedm evaluate STORE HEAD`).\n"
    rows = [
        f"| {escape_markdown(score.domain) or '-'} | {score.split or 'any'} | {score.title} | "
        f"{escape_markdown(listed(score.classes))} | {_mean(score)} | {score.images} | "
        f"{score.groups} |"
        for score in scores
    ]
    where = "on whole volumes, at their own resolution" if scores[0].resolution == "volume" else "at feature resolution"
    return (
        "| domain | split | measure | classes | mean ± deviation over images | images | groups "
        "|\n|---|---|---|---|---|---|---|\n"
        + "\n".join(rows)
        + f"\n\nMasks were compared {where}. {scores[0].convention[0].upper()}{scores[0].convention[1:]}.\n"
    )


def _mean(score: Score) -> str:
    return f"{score.mean:.3f}" + ("" if score.deviation is None else f" ± {score.deviation:.3f}")


def _intended(head: Segmenter) -> str:
    count = len(head.provenance.learned_from)
    return (
        "For research, and as a first mask that somebody corrects. It is no medical device: nothing here was tested for "
        "diagnosis or treatment, and no mask of it should decide about a patient unseen.\n\n"
        f"* It has learned from {counted(count, 'image')}. Other scanners, hospitals, ages and diseases are other domains; "
        "expect worse masks there, and score them.\n"
        "* It tells no image apart that has none of its classes, or is of another part of the body: it segments whatever "
        "it is given.\n"
        f"* It sees {head.settings.image_size} x {head.settings.image_size} pixels; what is smaller than one of them is "
        "lost.\n"
        "* Its probabilities are " + ("calibrated on few images.\n" if head.calibration is not None else "not calibrated.\n")
    )


def _with_tedm(head: Segmenter, contents: Contents) -> str:
    command, text = "tedm predict IMAGES FOLDER masks", "This folder is a head. `FOLDER` is where it lies."
    if not head.method.looks_at_images:
        file = contents.backbone_file
        command += f" --checkpoint FOLDER/{file}" if file else " --checkpoint BACKBONE"
        command += f" --backbone-config FOLDER/{contents.backbone_config}" if contents.backbone_config else ""
        if not file:
            text += (
                " Its backbone is not in it: `BACKBONE` is the checkpoint with the SHA-256 that stands above, wherever it "
                "lies on your machine."
            )
    return f"{text}\n\n```sh\n{command}\n```\n"


def _with_onnx(head: Segmenter, contents: Contents) -> str:
    chain, agreement, settings = contents.chain, contents.agreement, head.settings
    assert chain is not None  # asked before
    assert agreement is not None
    shapes = {"image": "in [0, 1], black to white", "noise": "standard normal: timestep, draw, channel, row, column"}
    rows = [f"| `{name}` | {list(shape)} | {shapes[name]} |" for name, shape in chain.inputs.items()]
    size, voters = settings.image_size, chain.ballot.get_buffer("weights").shape[0]
    rows += [
        f"| `probabilities` | {[1, len(head.classes), size, size]} | of the classes, after the vote |",
        f"| `opinions` | {[voters, len(head.classes), size, size]} | of each voter: members, timesteps, draws |",
    ]
    text = (
        f"One file of opset {OPSET}, from an image and noise to probabilities: the backbone, the classifier and the vote. "
        "All is float32, and "
        f"sizes are fixed: one image a call.\n\n| input or output | shape | what |\n|---|---|---|\n" + "\n".join(rows) + "\n\n"
    )
    pictures = is_of_pictures(head)
    if settings.noise == "per-image":
        named = (
            "of a file, its name without the ending" if pictures else "of a slice, that of its volume and its index: NAME_007"
        )
        text += (
            "Noise is part of what the backbone sees. Other standard normal numbers give masks that differ a little; those of "
            f"tedm come of noise that is drawn from the image's name ({named}) and the seed {settings.noise_seed}, by\n\n"
            f"```python\n{noise_lines(head)}```\n\n"
        )
    elif settings.noise == "shared":
        text += f"The noise is the same for all images, and lies in `{NOISE}`.\n\n"
    begins = " Slices of volumes become squares in [0, 1] as `config.json` says under `image`; the example begins with one."
    begins = "" if pictures else begins
    text += f"With onnxruntime, NumPy, SciPy and Pillow:{begins}\n\n```python\n{example_lines(head)}```\n\n"
    specks = any(head.method.specks * each for each in head.smallest_parts)
    text += (
        f"On {counted(agreement.images, 'image')} that were made up for it, the file and tedm were at most "
        f"{agreement.opinions:.1g} apart in a voter's probability. `tedm predict` rounds activations to "
        f"{head.storage.dtype} as the head's store did; to its probabilities the difference is up to "
        f"{agreement.as_predicted:.1g}, and {100 * agreement.pixels:.2g} % of the pixels get another class. Masks here are "
        f"of {size} x {size} pixels; `tedm predict` interpolates probabilities to the image's own size."
    )
    if head.arithmetic.precision != "float32":
        text += f" The head's features were computed in {head.arithmetic.precision}, which rounds more than is counted here."
    if specks:
        text += (
            " **Not in the file:** `tedm predict` also turns specks into background, components smaller than "
            f"{listed(f'{head.method.specks * each:.3g}' for each in head.smallest_parts)} pixels by class."
        )
    return f"{text}\n"


def _files(head: Segmenter, contents: Contents) -> str:
    rows = [
        ("head.json and what lies beside it", "the head, as tedm reads it"),
        ("config.json", "what the model is, for programs"),
    ]
    if contents.backbone_file:
        rows.append((contents.backbone_file, "the backbone's checkpoint, as its authors wrote it"))
    if contents.backbone_config:
        rows.append((contents.backbone_config, "settings of the backbone that its checkpoint does not tell"))
    if contents.chain is not None:
        rows.append((ONNX, "backbone, classifier and vote for onnxruntime"))
        rows.append(("rdf.yaml, test-*.npy", "the same for the BioImage Model Zoo: its axes, and examples to test it by"))
        rows += [(NOISE, "the noise, the same for all images")] if head.settings.noise == "shared" else []
    return "| file | what |\n|---|---|\n" + "\n".join(f"| {name} | {what} |" for name, what in rows) + "\n"


def _licence(contents: Contents) -> str:
    if contents.licence is None:
        text = "**No licence was chosen for this model**: nobody but its authors may use it until they say how."
    else:
        text = f"`{contents.licence}`, by whoever made it."
    inside = contents.backbone_file is not None or contents.chain is not None
    return text + (" The backbone in it has its own authors and terms.\n" if inside else "\n")


def _yaml(values: JsonObject) -> str:
    """Return YAML: entries one a line, each value as JSON, which YAML includes."""
    return "".join(f"{key}: {json.dumps(value, ensure_ascii=False)}\n" for key, value in values.items())
