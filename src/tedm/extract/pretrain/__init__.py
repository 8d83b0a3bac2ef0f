"""Training a diffusion model on unlabelled images, to be the backbone."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
