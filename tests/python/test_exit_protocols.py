"""The interpreter's end with arrays of every client alive over views, and views over arrays."""

from __future__ import annotations

import textwrap

import pytest

from clients.contract import require
from support import EMULATED, run_clean

pytestmark = EMULATED

# package: (module, its arrays over the view `v`, an array of its own as `a`).
CLIENTS = {
    "numpy": ("numpy", "np.from_dlpack(v)", "np.arange(6, dtype='f4').reshape(2, 3)"),
    "numpy's buffer": ("numpy", "np.asarray(v)", "memoryview(np.zeros((2, 3), 'f4'))"),
    "apache-tvm-ffi": (
        "tvm_ffi",
        "m.from_dlpack(v)",
        "m.from_dlpack(np.arange(6, dtype='f4').reshape(2, 3))",
    ),
    "cuda-core": (
        "cuda.core.utils",
        "m.StridedMemoryView.from_dlpack(v, stream_ptr=-1)",
        "m.StridedMemoryView.from_dlpack(np.zeros((2, 3), 'f4'), stream_ptr=-1)",
    ),
    "array-api-strict": ("array_api_strict", "m.from_dlpack(v)", "m.asarray([1., 2., 3.])"),
    "mlx-cpu": ("mlx.core", "m.from_dlpack(v)", "m.array([1., 2., 3.])"),
    "jax": ("jax", "m.dlpack.from_dlpack(v)", "m.numpy.arange(6.0)"),
    "pyarrow": (
        "pyarrow",
        "[m.py_buffer(v), m.array(v[0])]",
        "m.array(np.arange(6, dtype='f4'))",
    ),
    "polars": ("polars", "m.Series(v[0])", "m.Series(np.arange(6, dtype='f4'))"),
    "awkward": (
        "awkward",
        "m.from_numpy(np.asarray(v))",
        "np.asarray(m.Array([1.0, 2.0]))",
    ),
    "h5py": (
        "h5py",
        "m.File('x', 'w', driver='core', backing_store=False).create_dataset('d', data=v)",
        "np.zeros(3)",
    ),
    "zarr": ("zarr", "m.array(np.asarray(v))", "np.zeros(3)"),
    "pillow": (
        "PIL.Image",
        "m.frombuffer('F', (3, 2), v, 'raw', 'F', 0, 1)",
        "bytearray(m.new('L', (3, 2)).tobytes())",
    ),
}
DEVICE_CLIENTS = {
    "apache-tvm-ffi": CLIENTS["apache-tvm-ffi"],
    "cuda-core": CLIENTS["cuda-core"],
}

SETUP = """
import importlib
m = importlib.import_module({module!r})
def over(v): return {over}
def own(): return {own}
"""

# Who is alive at the end, and in which order the names stand in the module.
ENDINGS = {
    "view, then array": """
        v = dv.zeros((2, 3), 'f', device=DEVICE); w = v[:1]
        taken = over(v)
        a = own(); viewed = dv.view(a)
    """,
    "array, then view": """
        a = own(); viewed = dv.view(a)
        v = dv.zeros((2, 3), 'f', device=DEVICE)
        taken, first = over(v), None
        v, first = None, v
    """,
    "array of a view that is gone": """
        v = dv.zeros((2, 3), 'f', device=DEVICE)
        taken = over(v)
        try: v.release()
        except BufferError: pass
        del v
    """,
    "view of an array that is gone": """
        viewed = dv.view(own()); part = viewed[...]
        viewed.release()
    """,
    "in a cycle": """
        class Node: pass
        n = Node(); n.me = n; n.v = dv.zeros((2, 3), 'f', device=DEVICE)
        n.taken = over(n.v); n.a = own(); n.viewed = dv.view(n.a)
    """,
    "of a client whose module is gone": """
        v = dv.zeros((2, 3), 'f', device=DEVICE); taken = over(v)
        a = own(); viewed = dv.view(a)
        del m, over, own, importlib
    """,
    "held by builtins": """
        import builtins
        builtins.v = dv.zeros((2, 3), 'f', device=DEVICE)
        builtins.taken = over(builtins.v)
        builtins.viewed = dv.view(own())
    """,
    "in a thread's local": """
        local = threading.local()
        local.v = dv.zeros((2, 3), 'f', device=DEVICE)
        local.taken = over(local.v); local.viewed = dv.view(own())
    """,
    "in a daemon thread": """
        ready = threading.Event()
        def work():
            v = dv.zeros((2, 3), 'f', device=DEVICE)
            taken, viewed = over(v), dv.view(own())
            ready.set()
            threading.Event().wait()
        threading.Thread(target=work, daemon=True).start()
        ready.wait()
    """,
    "made in a thread that has ended": """
        kept = []
        def work():
            v = dv.zeros((2, 3), 'f', device=DEVICE)
            kept.extend([v, over(v), dv.view(own())])
        thread = threading.Thread(target=work); thread.start(); thread.join()
    """,
    "dropped at the very end": """
        class Late:
            def __init__(self):
                self.v = dv.zeros((2, 3), 'f', device=DEVICE)
                self.taken, self.viewed = over(self.v), dv.view(own())
            def __del__(self):
                del self.taken; self.viewed.release(); self.v.release()
        late = Late()
    """,
}


def script(client: tuple, ending: str, device: str) -> str:
    module, over, own = client
    head = SETUP.format(module=module, over=over, own=own)
    return f"{head}\nDEVICE = {device!r}\n{textwrap.dedent(ENDINGS[ending])}\nprint('end')\n"


def package_of(name: str) -> str:
    return name.partition("'")[0]


def ends_cleanly(client: tuple, endings, device: str) -> None:
    for ending in endings:
        assert run_clean(script(client, ending, device)) == "end\n", ending


# Two processes stand for the rest in a client each; what differs between clients is in these.
SHORT = ("view, then array", "array, then view", "array of a view that is gone")


@pytest.mark.parametrize("name", CLIENTS)
def test_the_interpreter_ends_with_a_client_s_arrays_and_views_of_them(name):
    require(CLIENTS[name][0], package_of(name))
    ends_cleanly(CLIENTS[name], SHORT, "cpu")


@pytest.mark.parametrize("name", DEVICE_CLIENTS)
def test_the_interpreter_ends_with_a_client_s_device_arrays(name):
    require(DEVICE_CLIENTS[name][0], package_of(name))
    ends_cleanly(DEVICE_CLIENTS[name], ENDINGS, "cuda:1")


@pytest.mark.parametrize("ending", ENDINGS)
def test_the_interpreter_ends_with_numpy_s_arrays(ending):
    ends_cleanly(CLIENTS["numpy"], [ending], "cpu")


CAPSULES = {
    "versioned": "v.__dlpack__(max_version=(1, 3))",
    "legacy": "v.__dlpack__()",
    "a copy": "v.__dlpack__(max_version=(1, 3), copy=True)",
    "Arrow": "v.reshape(6).__arrow_c_device_array__()",
    "exchange table": "type(v).__dlpack_c_exchange_api__",
}


@pytest.mark.parametrize("device", ["cpu", "cuda:1", "pinned", "managed"])
def test_the_interpreter_ends_with_capsules_that_nobody_consumed(device):
    for name, capsule in CAPSULES.items():
        out = run_clean(
            f"v = dv.zeros((2, 3), 'f', device={device!r}); c = {capsule}; print('end')"
        )
        assert out == "end\n", name


@pytest.mark.parametrize("device", ["cpu", "cuda:1"])
def test_the_interpreter_ends_with_consumed_capsules_and_views_of_them(device):
    out = run_clean(
        f"""
        v = dv.zeros((2, 3), 'f', device={device!r})
        c = v.__dlpack__(max_version=(1, 3)); w = dv.from_dlpack(c)
        d = v.__dlpack__(); x = dv.from_dlpack(d)
        i = getattr(v, '__cuda_array_interface__', None) or v.__array_interface__
        print('end')
        """
    )
    assert out == "end\n"


def test_the_interpreter_ends_with_everything_of_every_client():
    lines = ["import importlib", "kept = []"]
    for name, (module, over, own) in CLIENTS.items():
        require(module, package_of(name))
        lines += [
            f"m = importlib.import_module({module!r})",
            "v = dv.zeros((2, 3), 'f')",
            f"a = {own}",
            f"kept += [v, {over}, a, dv.view(a)]",
        ]
    assert run_clean("\n".join([*lines, "print('end')"])) == "end\n"


def test_the_collector_does_not_break_a_memoryview_under_its_view():
    """Before Python 3.13 it clears an exported memoryview, which raises, and later crashes."""
    out = run_clean(
        """
        for first in (0, 1):
            m = memoryview(bytearray(9)); v = dv.view(m)
            cycle = [m, v] if first else [v, m]
            cycle.append(cycle)
            del m, v, cycle
            gc.collect()
            print(len(dv.live()))
        def of_the_module(): return globals()
        m = memoryview(bytearray(9)); v = dv.view(m)
        """
    )
    assert out == "0\n0\n"
