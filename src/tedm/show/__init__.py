"""Figures of images, masks, predictions, losses, timesteps, activations and calibration."""

from tedm.show.curves import loss_figure
from tedm.show.examples import example_figure
from tedm.show.figures import contact_sheet, overlay_figure, png, save
from tedm.show.grids import picture_grid, similarity_figure, uncertainty_figure
from tedm.show.planes import three_planes
from tedm.show.ranking import ranking_sheet
from tedm.show.reliability import reliability_figure
from tedm.show.sizes import timestep_size_figure
from tedm.show.timesteps import level_figure, timestep_figure, voting_figure

__all__ = [
    "contact_sheet",
    "example_figure",
    "level_figure",
    "loss_figure",
    "overlay_figure",
    "picture_grid",
    "png",
    "ranking_sheet",
    "reliability_figure",
    "save",
    "similarity_figure",
    "three_planes",
    "timestep_figure",
    "timestep_size_figure",
    "uncertainty_figure",
    "voting_figure",
]
