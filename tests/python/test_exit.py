"""The end of the interpreter, forks and daemon threads: code 0, an empty stderr, no deadlock."""

from __future__ import annotations

import os
import textwrap

import pytest

from support import EMULATED, run_clean, run_script

pytestmark = EMULATED

LIVE = {
    "device views": "v = dv.zeros((10, 10), device='cuda:1'); w = v[::2]",
    "host views": "v = dv.zeros(10); w = dv.view(bytearray(10))",
    "pinned and managed": "v = dv.zeros(9, device='pinned'); w = dv.zeros(9, device='managed')",
    "memoryview": "m = memoryview(dv.zeros(10, device='cuda'))",
    "writable buffer": "import io; v = dv.zeros(10, device='cuda'); a = np.asarray(v)",
    "staging": "s = dv.zeros(10, device='cuda').stage(writable=True)",
    "entered staging": "s = dv.zeros(10, device='cuda').stage(writable=True); m = s.__enter__()",
    "allocation": "a = dv.Allocation(10, device='cuda')",
    "stream and event": "s = dv.Stream(); e = dv.Event(s); v = dv.zeros(9, device='cuda')",
    "callback": """
        def release(stream): pass
        b = dv.zeros(64, device='cuda')
        v = dv.from_pointer(b.ptr, 64, 'B', device='cuda', release=release, owner=object())
    """,
    "callback that needs modules": """
        calls = []
        v = dv.from_pointer(4096, 64, 'B', device='cpu', release=lambda s: os.getpid())
    """,
    "cycle": """
        class Node: pass
        n = Node(); n.me = n; n.v = dv.zeros(9, device='cuda'); n.m = memoryview(n.v)
    """,
    "cycle with a callback": """
        class Node:
            def done(self, stream): pass
        n = Node(); b = dv.zeros(64)
        n.v = dv.from_pointer(b.ptr, 64, 'B', device='cpu', release=n.done)
    """,
    "held by a module": "sys.modules['x'] = type('M', (), {'v': dv.zeros(9, device='cuda')})()",
    "held by a C global": "import builtins; builtins.v = dv.zeros(9, device='cuda')",
    "work in flight": """
        dv.emulation.set_delay(20_000)
        s = dv.Stream(); v = dv.zeros(1000, device='cuda', stream=s)
        w = v.copy(stream=dv.Stream())
    """,
    "guard": "g = dv.transfer_guard('forbid')",
    "memory of numpy": "a = np.zeros(9); v = dv.view(a); w = dv.view(memoryview(a))",
    "exception": "v = dv.zeros(9, device='cuda')\ntry: v[100]\nexcept IndexError as e: kept = e",
    "thread local": "t = threading.local(); t.v = dv.zeros(9, device='cuda')",
    "context variable": """
        import contextvars
        c = contextvars.ContextVar('c'); c.set(dv.zeros(9, device='cuda'))
    """,
    "atexit": """
        import atexit
        v = dv.zeros(9, device='cuda')
        atexit.register(lambda: v.tobytes() == bytes(9) or sys.exit(1))
        atexit.register(memoryview(v).release)
    """,
    "del": """
        class Late:
            def __init__(self): self.v = dv.zeros(9, device='cuda')
            def __del__(self): self.v.tolist(); self.v.release()
        late = Late()
    """,
}


@pytest.mark.parametrize("what", LIVE)
def test_interpreter_ends_cleanly_with_live(what):
    assert run_clean(textwrap.dedent(LIVE[what]) + "\nprint('end')") == "end\n"


# These change what the others may do.
TROUBLE = ("work in flight", "guard")


def test_interpreter_ends_cleanly_with_everything_together():
    script = "\n".join(textwrap.dedent(LIVE[what]) for what in LIVE if what not in TROUBLE)
    assert run_clean(script + "\nprint('end')") == "end\n"


DAEMON = """
import time
def work():
    while True:
        v = dv.zeros((100, 100), device='cuda')
        w = v[::2].T.copy(stream=dv.Stream())
        memoryview(w).release()
started = threading.Thread(target=work, daemon=True)
started.start()
time.sleep(0.1)
print('end')
"""


def test_daemon_thread_at_exit():
    assert run_clean(DAEMON) == "end\n"


def test_daemon_thread_in_a_wait_at_exit():
    script = """
    import time
    s = dv.Stream()
    v = dv.zeros(10, device='cuda', stream=s)
    dv.emulation.set_delay(300_000)
    for _ in range(5): v.fill(1, stream=s)
    threading.Thread(target=s.synchronize, daemon=True).start()
    time.sleep(0.05)
    print('end')
    """
    assert run_clean(script) == "end\n"


def test_sys_exit_keeps_its_code():
    outcome = run_script("v = dv.zeros(9, device='cuda'); m = memoryview(v); sys.exit(3)")
    assert (outcome.code, outcome.err) == (3, "")


def test_uncaught_exception_is_the_only_thing_told():
    outcome = run_script("m = memoryview(dv.zeros(9, device='cuda')); raise KeyError('mine')")
    assert outcome.code == 1
    assert outcome.err.count("Traceback") == 1
    assert outcome.err.rstrip().endswith("KeyError: 'mine'")


FORK = """
import time
v = dv.zeros(1000, device='cuda')
m = memoryview(v)
a = np.zeros(9)
h = dv.view(a)
s = dv.Stream()
{before}
pid = os.fork()
if pid == 0:
    {child}
_, status = os.waitpid(pid, 0)
print(os.waitstatus_to_exitcode(status))
print(v.tobytes() == bytes(1000), m.tobytes() == bytes(1000), h.tolist() == [0] * 9)
m.release()
v.release()
del s
import gc
print(len(dv.live()))
"""

CHILDREN = {
    "exits at once": "os._exit(0)",
    "ends normally": "sys.exit(0)",
    "drops everything": "del m, v, h, s; gc.collect(); sys.exit(0)",
    "uses the host": "w = dv.zeros(9); w.fill(1); sys.exit(w.tolist() != [1] * 9)",
}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="missing: os.fork")
@pytest.mark.parametrize("child", CHILDREN)
def test_forked_child_exits_cleanly_and_the_parent_keeps_its_memory(child):
    out = run_clean(FORK.format(child=CHILDREN[child], before=""), timeout=30)
    assert out == "0\nTrue True True\n1\n"


def test_forked_child_that_uses_the_device_is_refused():
    child = (
        "try: dv.zeros(9, device='cuda').tobytes()\n"
        "    except dv.DeviceError as e: sys.exit(7 if e.code == 3 else 8)\n"
        "    sys.exit(9)"
    )
    out = run_clean(FORK.format(child=child, before=""), timeout=30)
    assert out == "7\nTrue True True\n1\n"


def test_import_is_quiet_and_can_be_repeated():
    out = run_clean(
        """
        import importlib
        first = dv.View
        importlib.reload(dv)
        print(dv.View is first)
        """
    )
    assert out == "True\n"
