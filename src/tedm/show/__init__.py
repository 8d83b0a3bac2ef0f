"""Figures of images, masks, predictions and losses."""

from tedm.show.curves import loss_figure
from tedm.show.figures import contact_sheet, overlay_figure, png, save

__all__ = ["contact_sheet", "loss_figure", "overlay_figure", "png", "save"]
