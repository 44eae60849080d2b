"""devview: device-tagged array views.

One view type for memory wherever it lives. A ``View`` knows its device, layout, item format, and
who must be told when it is done; it is a Python buffer on any device.
"""

from devview._allocator import allocator
from devview._devview import (
    Allocation,
    CastError,
    Device,
    DeviceError,
    DeviceNameError,
    Error,
    Event,
    Format,
    FormatError,
    HandleError,
    ImportRefused,
    LayoutError,
    OutOfMemory,
    RangeError,
    Refused,
    Staging,
    Stream,
    View,
    __version__,
    calcsize,
    copy,
    copyto,
    devices,
    empty,
    empty_like,
    emulate,
    emulation,
    from_arrow,
    from_buffer,
    from_cuda_array,
    from_dlpack,
    from_pointer,
    get_buffer,
    import_handle,
    live,
    memory_info,
    pinned_limit,
    release_errors,
    set_pinned_limit,
    trace,
    transfer_guard,
    trim,
    view,
    zeros,
)
from devview._exporter import Exporter

TYPE_CHECKING = False  # typing is slow to import
if TYPE_CHECKING:
    from devview._flags import BufferFlags

__all__ = [
    "Allocation",
    "BufferFlags",
    "CastError",
    "Device",
    "DeviceError",
    "DeviceNameError",
    "Error",
    "Event",
    "Exporter",
    "Format",
    "FormatError",
    "HandleError",
    "ImportRefused",
    "LayoutError",
    "OutOfMemory",
    "RangeError",
    "Refused",
    "Staging",
    "Stream",
    "View",
    "__version__",
    "allocator",
    "calcsize",
    "copy",
    "copyto",
    "devices",
    "empty",
    "empty_like",
    "emulate",
    "emulation",
    "from_arrow",
    "from_buffer",
    "from_cuda_array",
    "from_dlpack",
    "from_pointer",
    "get_buffer",
    "import_handle",
    "live",
    "memory_info",
    "pinned_limit",
    "release_errors",
    "set_pinned_limit",
    "trace",
    "transfer_guard",
    "trim",
    "view",
    "zeros",
]


def __getattr__(name):
    """Import at first use what is slow to import."""
    if name == "BufferFlags":
        from devview._flags import BufferFlags

        globals()[name] = BufferFlags
        return BufferFlags
    raise AttributeError(f"module 'devview' has no attribute {name!r}")
