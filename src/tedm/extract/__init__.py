"""Images to activations: manifests, geometry, noise, backbones, every forward pass."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
