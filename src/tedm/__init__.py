"""Label-efficient segmentation from diffusion features: extract once, store, fit small heads, vote.

The four packages follow the data: `tedm.extract` turns images into activations, `tedm.store` keeps them, `tedm.heads` fits and
predicts, `tedm.show` draws. `tedm.cli` holds the commands. The method is TEDM (Rosnati et al. 2023, arXiv:2311.07421).
`fit_images` makes a head of arrays, and
`segment` a mask.
"""

from importlib.metadata import version

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
__version__ = version("tedm")
