"""Numeric kernels for arrays of any library and device: an extension module built on devview."""

# First: it loads the libraries that the extension module is linked with.
import devview as _devview  # noqa: F401

from ._numeric import compiled_for_gpu, reduce, saxpy, stencil

__all__ = ["compiled_for_gpu", "reduce", "saxpy", "stencil"]
