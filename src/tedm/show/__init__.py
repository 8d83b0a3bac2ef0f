"""Figures of images, masks, predictions, losses and calibration."""

from tedm.show.curves import loss_figure
from tedm.show.figures import contact_sheet, overlay_figure, save
from tedm.show.reliability import reliability_figure

__all__ = ["contact_sheet", "loss_figure", "overlay_figure", "reliability_figure", "save"]
