"""DEVVIEW_CPU: the same results whatever it asks for, and words that it does not know."""

from __future__ import annotations

import textwrap

import pytest

from support import Outcome, run_script

WORK = textwrap.dedent("""
    import hashlib
    import numpy as np
    import devview as dv

    found = []
    random = np.random.default_rng(1)
    base = random.integers(0, 255, 60 * 70 * 3, "u1").reshape(60, 70, 3)
    for dtype in ("u1", "i4", "f4", "f8", "e"):
        a = base.astype(dtype)
        for array in (a, a.T, a[::-1, ::2], a.transpose(2, 0, 1)):
            for target in ("u1", "i4", "f8", ">f4", "e"):
                made = np.zeros(array.shape, target)
                dv.copyto(dv.view(made), dv.view(array).astype(dv.view(made).format))
                assert np.array_equal(made, array.astype(target))
                found.append(hashlib.md5(made.tobytes()).hexdigest())
            assert dv.view(array).tobytes() == array.tobytes()
            assert dv.view(array) == dv.view(array.copy())
    print(len(found), hashlib.md5(" ".join(found).encode()).hexdigest())
""")


def run(code: str, word: str) -> Outcome:
    """Run Python code with DEVVIEW_CPU set."""
    return run_script(code, emulate=False, env={"DEVVIEW_CPU": word}, timeout=120)


def test_results_are_the_same_at_every_level() -> None:
    done = [run(WORK, word) for word in ("", "portable", "avx2", "avx512", "avx512vbmi")]
    assert [(each.code, each.err) for each in done] == [(0, "")] * len(done)
    assert len({each.out for each in done}) == 1
    assert done[0].out.startswith("100 ")


@pytest.mark.parametrize("word", ["AVX2", "sse4", "avx2 "])
def test_an_unknown_word_is_refused_by_name_when_work_is_wanted(word: str) -> None:
    code = textwrap.dedent("""
        import numpy as np
        import devview as dv

        a, b = np.ones((3, 4)), np.zeros((3, 4))
        v, w = dv.view(a), dv.view(b)
        assert v[1:].shape == (2, 4) and v[0, 0] == 1 and v.tolist() == a.tolist()
        for work in (
            lambda: dv.copyto(w, v),
            lambda: dv.copyto(w.T, v.T),
            lambda: v.astype("f"),
            lambda: v.T.tobytes(),
            lambda: w.fill(2),
            lambda: v == dv.view(a.copy()),
        ):
            try:
                work()
            except ValueError as error:
                print(type(error).__name__, error)
        print(b.sum())
    """)
    done = run(code, word)
    text = f'LayoutError DEVVIEW_CPU: "{word}", portable, avx2, avx512 or avx512vbmi'
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines() == [text] * 6 + ["0.0"]
