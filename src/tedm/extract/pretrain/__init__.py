"""Training a network on unlabelled images: a diffusion model, to be the backbone, or by contrast, to be fine-tuned."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
