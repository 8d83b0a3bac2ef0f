"""The slices of the brain template as features, and the small DDPM that sees them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from tedm.extract import Backbone, Manifest, extract, extract_views, load_backbone, read_manifest
from tedm.store import FeatureStore
from tedm.study.demo.slices import write_template_slices

TIMESTEPS = (1, 10, 25, 50, 200, 400, 600, 800)


def template_store(
    folder: Path,
    *,
    timesteps: Sequence[int] = TIMESTEPS,
    draws: int = 1,
    views: int = 0,
    domains: Sequence[str] | None = None,
    progress: Callable[[int, int, str], None] | None = None,
) -> FeatureStore:
    """Return the demo's slices as features: what the notebooks begin with.

    Parameters
    ----------
    folder : Path
        Slices are written to `slices` in it and features to `store`. What is there already is not made again.
    timesteps, draws
        See `tedm.extract.extract`; as they were made, if the store is there.
    views : int
        Of each slice to train on; see `tedm.extract.extract_views`.
    domains : sequence of str or None
        Some of "axial", "coronal", "sagittal" and "contrast+noise"; None takes all.
    progress : callable (done, all, pace) or None
        See `tedm.extract.extract`.

    Returns
    -------
    FeatureStore
        Layout `native`; six axial slices to train on, ten of each domain to test on.

    Raises
    ------
    TedmError
        If nilearn is not installed, or the store that is there was made with other settings.
    """
    manifest = read_manifest(template_slices(folder / "slices"))
    if domains is not None:
        kept = [at for at, entry in enumerate(manifest.entries) if entry.domain in domains]
        entries, headers = tuple(manifest.entries[at] for at in kept), tuple(manifest.headers[at] for at in kept)
        manifest = Manifest(entries, manifest.classes, manifest.ignore, headers)
    done = extract(
        manifest,
        folder / "store",
        template_backbone(),
        timesteps=timesteps,
        draws=draws,
        layout="native",
        device="cpu",
        precision="float32",
        progress=progress,
    )
    if views:
        extract_views(done.store, template_backbone(), views, device="cpu")
    return done.store


def template_slices(folder: Path) -> Path:
    """Return the manifest of the demo's slices, which are written if it is not there.

    Returns
    -------
    Path
        `manifest.csv` in the folder, beside `images/` and `masks/`: 6 axial slices to train on, and 10 to test on of each
        domain: axial, coronal, sagittal, contrast+noise. Masks hold 0 for background, 1 for grey and 2 for white matter.

    Raises
    ------
    TedmError
        If nilearn is not installed.
    """
    manifest = folder / "manifest.csv"  # written last
    return manifest if manifest.exists() else write_template_slices(folder)


def template_backbone() -> Backbone:
    """Return the demo's small DDPM, pre-trained on axial slices: docs/results/demo.md."""
    return load_backbone(Path(__file__).with_name("demo.safetensors"))
