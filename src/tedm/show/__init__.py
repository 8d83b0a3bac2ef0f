"""Figures of images, masks and predictions."""

from tedm.show.figures import contact_sheet, overlay_figure, save

__all__ = ["contact_sheet", "overlay_figure", "save"]
