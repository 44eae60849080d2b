"""Large work on threads: the same results whatever DEVVIEW_NUM_THREADS says, and after a fork."""

from __future__ import annotations

import textwrap

import pytest

from support import Outcome, run_script

# Copies, casts, byte orders, fills and comparisons of layouts large enough for threads.
WORK = """
import hashlib
import numpy as np
import devview as dv

found = []
base = np.arange(3 * 1100 * 801, dtype="i4").reshape(3, 1100, 801)
layouts = (base, base.T, base[:, ::-1, ::2], base.transpose(1, 0, 2)[5:], base.ravel()[::-1])
for array in layouts:
    for target in ("i4", "f8", ">i4", "u1"):
        made = np.zeros(array.shape, target)
        dv.copyto(dv.view(made), dv.view(array).astype(dv.view(made).format))
        assert np.array_equal(made, array.astype(target))
        found.append(hashlib.md5(made.tobytes()).hexdigest())
    copy = array.copy()
    assert dv.view(array) == dv.view(copy)
    copy[..., -1] += 1
    assert dv.view(array) != dv.view(copy)
    assert dv.view(array).tobytes() == array.tobytes()
    dv.view(copy).fill(7)
    assert (copy == 7).all()
print(" ".join(found))
"""


def run(code: str, threads: str) -> Outcome:
    """Run Python code with this number of threads."""
    return run_script(code, emulate=False, env={"DEVVIEW_NUM_THREADS": threads}, timeout=120)


def test_results_are_the_same_with_any_number_of_threads() -> None:
    done = [run(WORK, threads) for threads in ("1", "2", "8")]
    assert [(each.code, each.err) for each in done] == [(0, "")] * 3
    assert len(done[0].out.split()) == 20
    assert done[1].out == done[0].out
    assert done[2].out == done[0].out


@pytest.mark.parametrize("number", ["0", "257", "many"])
def test_a_bad_number_is_refused_when_threads_are_wanted(number: str) -> None:
    code = textwrap.dedent("""
        import numpy as np
        import devview as dv

        small, large = np.ones(10), np.ones(1 << 20)
        assert dv.view(small).astype("f").tolist() == [1.0] * 10
        for work in (
            lambda: dv.view(large).astype("f"),
            lambda: dv.copyto(dv.view(np.zeros(1 << 20)), dv.view(large)),
            lambda: dv.view(large).fill(2),
            lambda: dv.view(large) == dv.view(large.copy()),
        ):
            try:
                work()
            except ValueError as error:
                print(error)
        print(large[0], large[-1])
    """)
    done = run(code, number)
    text = f'DEVVIEW_NUM_THREADS: "{number}", 1 to 256 threads'
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines() == [text] * 4 + ["1.0 1.0"]


def test_a_forked_child_works_on_threads_of_its_own() -> None:
    code = textwrap.dedent("""
        import os
        import numpy as np
        import devview as dv

        array = np.arange(1 << 21, dtype="f8").reshape(1 << 10, -1)
        want = array.T.astype("f4").tobytes()
        assert dv.view(array.T).astype("f").tobytes() == want
        for _ in range(4):
            child = os.fork()
            if child == 0:
                os._exit(0 if dv.view(array.T).astype("f").tobytes() == want else 1)
            assert os.waitpid(child, 0)[1] == 0
        print("done")
    """)
    done = run(code, "4")
    assert (done.code, done.out) == (0, "done\n"), done.err
