"""Figures of images, masks, predictions, losses and timesteps."""

from tedm.show.curves import loss_figure
from tedm.show.figures import contact_sheet, overlay_figure, png, save
from tedm.show.ranking import ranking_sheet
from tedm.show.timesteps import level_figure, timestep_figure, voting_figure

__all__ = [
    "contact_sheet",
    "level_figure",
    "loss_figure",
    "overlay_figure",
    "png",
    "ranking_sheet",
    "save",
    "timestep_figure",
    "voting_figure",
]
