"""Paint a few strokes in napari, and see what a head learns from them on features of a diffusion model.

`gallery` opens images and their features, `painting` holds strokes and what was learned from them, `widget` shows both, in a
`form`. Only these two and `start` know napari and Qt.
"""

__version__ = "0.1.0"
