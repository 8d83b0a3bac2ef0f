"""Figures of images, masks, predictions and losses."""

from tedm.show.curves import loss_figure
from tedm.show.figures import contact_sheet, overlay_figure, save
from tedm.show.grids import picture_grid, similarity_figure, uncertainty_figure
from tedm.show.ranking import ranking_sheet

__all__ = [
    "contact_sheet",
    "loss_figure",
    "overlay_figure",
    "picture_grid",
    "ranking_sheet",
    "save",
    "similarity_figure",
    "uncertainty_figure",
]
