from .curves import loss_figure
from .examples import example_figure
from .figures import contact_sheet, overlay_figure, png, save
from .grids import picture_grid, similarity_figure, uncertainty_figure
from .planes import three_planes
from .ranking import ranking_sheet
from .reliability import reliability_figure
from .sizes import timestep_size_figure
from .timesteps import level_figure, timestep_figure, voting_figure

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
