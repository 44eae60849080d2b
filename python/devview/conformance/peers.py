"""Released importers as functions of one object, and memory of an emulated device for devview.

Each is called as its users would where no GPU is: cuda.core without ordering of streams, NumPy's
``asarray`` without its way out of making an array of one Python object.
"""

from __future__ import annotations

# name: (distribution, {family: target})
PEERS = {
    "devview": ("devview", {"": "devview:view"}),
    "numpy": (
        "numpy",
        {
            "dlpack": "numpy:from_dlpack",
            "dlpack-legacy": "numpy:from_dlpack",
            "array-interface": f"{__name__}:numpy_asarray",
            "buffer": f"{__name__}:numpy_asarray",
        },
    ),
    "tvm-ffi": (
        "apache-tvm-ffi",
        {
            "dlpack": "tvm_ffi:from_dlpack",
            "dlpack-legacy": "tvm_ffi:from_dlpack",
            "exchange": f"{__name__}:tvm_ffi_argument",
        },
    ),
    "cuda.core": (
        "cuda-core",
        {
            "dlpack": f"{__name__}:cuda_core_dlpack",
            "dlpack-legacy": f"{__name__}:cuda_core_dlpack",
            "cuda-array": f"{__name__}:cuda_core_cuda_array",
            "array-interface": f"{__name__}:cuda_core_array",
        },
    ),
    "memoryview": ("", {"buffer": "builtins:memoryview"}),
}


def emulated_memory(nbytes: int):
    """Return memory of an emulated device: its address, and who owns it."""
    import devview as dv

    if not any(str(device).startswith("cuda") for device in dv.devices()):
        dv.emulate()
    block = dv.zeros(nbytes, device="cuda")
    return block.ptr, block


def numpy_asarray(exporter):
    """View by the buffer protocol or ``__array_interface__``, or raise TypeError."""
    import numpy as np

    array = np.asarray(exporter)
    if array.dtype == object and array.shape == () and array[()] is exporter:
        raise TypeError("numpy.asarray: an array of the object itself, no view")
    return array


def tvm_ffi_argument(exporter):
    """Pass to a function of tvm-ffi, which takes tensors by the exchange API."""
    import tvm_ffi

    return tvm_ffi.get_global_func("testing.echo")(exporter)


def cuda_core_dlpack(exporter):
    """View without ordering of streams."""
    from cuda.core.utils import StridedMemoryView

    return StridedMemoryView.from_dlpack(exporter, stream_ptr=-1)


def cuda_core_cuda_array(exporter):
    """View without ordering of streams."""
    from cuda.core.utils import StridedMemoryView

    return StridedMemoryView.from_cuda_array_interface(exporter, stream_ptr=-1)


def cuda_core_array(exporter):
    """View memory of the host."""
    from cuda.core.utils import StridedMemoryView

    return StridedMemoryView.from_array_interface(exporter)
