"""Views as pickles: the items' bytes, out of band from protocol 5 on (PEP 574)."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any

from devview._devview import Format, from_buffer

if TYPE_CHECKING:
    from collections.abc import Callable

    from devview._devview import View
    from devview._types import Buffer

_OUT_OF_BAND = 5


def reduce(view: View, protocol: int, format: str) -> tuple[Callable[..., View], tuple[Any, ...]]:
    """Return what View.__reduce_ex__ returns; `format` is the canonical spelling of its items.

    A dense host view gives its own memory; any other is copied, a device's to the host.
    """
    device = view.device.name
    transposed = view.f_contiguous and not view.c_contiguous
    source = view.T if transposed else view
    if not source.c_contiguous or not source.device.host_accessible:
        source = source.copy(device="cpu")
    shape = source.shape
    if Format(source).packed:  # of which buffers know nothing
        source = source.cast("B", (source.nbytes,))
    data: Any
    if protocol >= _OUT_OF_BAND:
        # Read-only sources must stay so in band, too: bytes and not a bytearray.
        data = pickle.PickleBuffer(source.toreadonly() if view.readonly else source)
    else:
        data = source.tobytes() if view.readonly else bytearray(source.tobytes())
    return rebuild, (data, format, shape, transposed, view.readonly, device)


def rebuild(
    data: Buffer,
    format: str,
    shape: tuple[int, ...],
    transposed: bool,
    readonly: bool,
    device: str,
) -> View:
    """Return a view of `data` itself on the host, of a copy on any other device.

    A view of memory that the unpickler gives read-only is read-only, as NumPy's arrays are.
    """
    view = from_buffer(data, format=format, shape=shape)
    if device != "cpu":
        view = view.to(device)
    if readonly and not view.readonly:
        view = view.toreadonly()
    return view.T if transposed else view
