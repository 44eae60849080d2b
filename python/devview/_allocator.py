"""devview's device memory for PyTorch, CuPy and RMM: one pool, one ledger for all of them."""

from __future__ import annotations

from devview._devview import (
    DeviceError,
    _allocate_on,
    _cuda_device_id,
    _current_device,
    _lend,
    _pluggable,
    _take_back,
)

TYPE_CHECKING = False  # typing is slow to import
if TYPE_CHECKING:
    from typing import Any

    from devview._devview import Device

_INVALID_DEVICE = 101  # cudaErrorInvalidDevice


class Allocator:
    """What `allocator` returns. See there."""

    __slots__ = ("_bound", "_id", "alloc_name", "alloc_ptr", "free_name", "free_ptr", "library")

    library: str  #: path of the shared library with the two functions
    alloc_name: str  #: ``void* (ssize_t size, int device, cudaStream_t stream)``
    free_name: str  #: ``void (void* ptr, ssize_t size, int device, cudaStream_t stream)``
    alloc_ptr: int  #: address of the first
    free_ptr: int  #: address of the second

    def __init__(self, device: str | Device = "cuda", /):
        from pathlib import Path

        self._id = _cuda_device_id(device)
        self._bound = not (isinstance(device, str) and device == "cuda")
        library, self.alloc_ptr, self.free_ptr = _pluggable()
        self.library = str(Path(library).absolute())
        self.alloc_name, self.free_name = "devview_torch_alloc", "devview_torch_free"

    @property
    def device(self) -> str:
        """The device's name; ``"cuda"``: whichever is current at the call."""
        return f"cuda:{self._id}" if self._bound else "cuda"

    def __repr__(self) -> str:
        return f"<devview allocator of {self.device}>"

    def __call__(self, size: int, /) -> Any:
        """Return a ``cupy.cuda.MemoryPointer`` to `size` bytes, for CuPy's current device.

        The memory is ready, and later freed, in the order of CuPy's current stream, which it keeps
        alive.
        """
        from cupy import cuda

        device = self._checked(cuda.Device().id)
        stream = cuda.get_current_stream()
        block = _allocate_on(size, device, stream.ptr)
        # A tuple lets go of its last item first: the block is freed on a stream that still lives.
        owner = (stream, block)
        return cuda.MemoryPointer(cuda.UnownedMemory(block.ptr, size, owner, device), 0)

    def rmm(self) -> Any:
        """Return an ``rmm.mr.CallbackMemoryResource`` for `rmm.mr.set_current_device_resource`."""
        from rmm.mr import CallbackMemoryResource

        return CallbackMemoryResource(self._rmm_allocate, self._rmm_deallocate)

    # Newer RMM calls (stream, size, alignment) and (stream, ptr, size, alignment); older had
    # (size, stream) and (ptr, size, stream).

    def _rmm_allocate(self, *args: Any) -> int:
        if len(args) == 3:
            stream, size, alignment = args
        else:
            (size, stream), alignment = args, 1
        handle = _handle(stream)
        ptr = _lend(size, self._checked(_current_device()), handle)
        if ptr % alignment:
            _take_back(ptr, handle)
            raise MemoryError(f"allocator: no memory aligned to {alignment} bytes")
        return ptr

    def _rmm_deallocate(self, *args: Any) -> None:
        stream, ptr = (args[0], args[1]) if len(args) == 4 else (args[2], args[0])
        _take_back(ptr, _handle(stream))

    def _checked(self, current: int) -> int:
        if self._bound and current != self._id:
            error = DeviceError(
                f"allocator: the current device is cuda:{current}, the allocator's {self.device}"
            )
            error.code, error.name = _INVALID_DEVICE, "cudaErrorInvalidDevice"
            raise error
        return current


def _handle(stream: Any) -> int:
    """Return the handle of an RMM stream."""
    version, handle = stream.__cuda_stream__()
    if version != 0:
        raise ValueError(f"allocator: __cuda_stream__ of version {version}, known is 0")
    return int(handle)


def allocator(device: str | Device = "cuda", /) -> Allocator:
    """Device memory of devview for other libraries: one pool, and all of it in the ledger.

    Parameters
    ----------
    device : str or dv.Device
        ``"cuda"``: whichever device is current at each call. With a number, or as a `dv.Device`:
        that one, and DeviceError where another is current. PyTorch names the device itself.

    Returns
    -------
    Allocator
        For PyTorch, before anything was allocated::

            a = dv.allocator()
            torch.cuda.memory.change_current_allocator(
                torch.cuda.memory.CUDAPluggableAllocator(a.library, a.alloc_name, a.free_name))

        For CuPy ``cupy.cuda.set_allocator(dv.allocator())``, for RMM
        ``rmm.mr.set_current_device_resource(dv.allocator().rmm())``.

    Raises
    ------
    DeviceError
        No such CUDA device.

    Notes
    -----
    Blocks show in `devview.live`, `devview.memory_info` and its peak while the other library holds
    them. A library that keeps a pool of its own in front (CuPy's `MemoryPool`, RMM's) shows that.
    Memory is made and freed in the order of the stream that the library names: none of them waits.
    Out of memory is MemoryError in CuPy and RMM, RuntimeError in PyTorch, whose interface has no
    other. A free that fails or names an unknown address counts in `devview.release_errors`.
    """
    return Allocator(device)
