"""CVXOPT: column-major matrices of its three types, and its solvers in the memory of views."""

from __future__ import annotations

import array
import ctypes

import pytest

import devview as dv
from clients.contract import CUDA, Case, Contract, require
from support import get_buffer

cvxopt = require("cvxopt", "cvxopt")
base, blas, lapack = (require(f"cvxopt.{name}", "cvxopt") for name in ("base", "blas", "lapack"))


def rows_of(m) -> list:
    rows, columns = m.size
    return [[m[i, j] for j in range(columns)] for i in range(rows)]


def address(m) -> int:
    """Where BLAS finds the matrix: the address in its own answer to a plain request."""
    with get_buffer(m, 0x18) as request:
        return request.raw.buf


def set_item(m, value) -> None:
    m[1, 2] = value


def matrix_case(name: str, values, typecode: str, format: str, value) -> Case:
    itemsize = {"l": ctypes.sizeof(ctypes.c_long), "d": 8, "Zd": 16}[format]
    return Case(
        name=name,
        make=lambda: cvxopt.matrix(values, (2, 3), typecode),
        address=address,
        read=rows_of,
        format=format,
        shape=(2, 3),
        strides=(itemsize, 2 * itemsize),
        index=(1, 2),
        value=value,
        write=set_item,
    )


CASES = [
    matrix_case("int", [1, 2, 3, 4, 5, 6], "i", "l", -(2**62)),
    matrix_case("double", [1.0, 2.0, 3.0, 4.0, 5.0, 6.0], "d", "d", -0.5),
    matrix_case("complex", [1 + 2j, 2, 3, 4j, 5, 6], "z", "Zd", 0.5 - 8j),
]


@pytest.mark.parametrize("case", CASES, ids=str)
class TestCvxopt(Contract):
    pass


def test_a_matrix_is_column_major():
    m = cvxopt.matrix([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], (2, 3))
    v = dv.view(m)
    assert (v.f_contiguous, v.c_contiguous) == (True, False)
    assert list(m) == dv.view(m).T.reshape(6).tolist()
    # A copy on a device is laid out anew, in the order that is asked for.
    assert v.to(CUDA).tolist() == v.copy(device=CUDA, order="F").tolist() == rows_of(m)
    assert v.copy(device=CUDA, order="F").strides == v.strides


def test_a_view_keeps_its_shape_when_the_matrix_takes_another():
    m = cvxopt.matrix([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], (2, 3))
    v = dv.view(m)
    m.size = (3, 2)
    assert (v.shape, dv.view(m).shape) == ((2, 3), (3, 2))
    assert v.tolist() == [[1.0, 3.0, 5.0], [2.0, 4.0, 6.0]]


def test_an_empty_and_a_single_matrix():
    assert dv.view(cvxopt.matrix(0.0, (0, 3))).shape == (0, 3)
    assert dv.view(cvxopt.matrix(2.5)).tolist() == [[2.5]]


def test_a_sparse_matrix_is_no_exporter_but_copies_of_its_values_are():
    s = cvxopt.spmatrix([1.0, 2.0], [0, 1], [0, 1])
    with pytest.raises(dv.ImportRefused, match="not offered"):
        dv.view(s)
    assert dv.view(s.V).tolist() == [[1.0], [2.0]]
    dv.view(s.V)[0, 0] = 9.0  # of a copy
    assert list(s.V) == [1.0, 2.0]


def test_cvxopt_solves_what_was_edited_through_a_view():
    a = cvxopt.matrix([2.0, 0.0, 0.0, 0.0], (2, 2))
    b = cvxopt.matrix([2.0, 8.0], (2, 1))
    v = dv.view(a)
    v[1, 1] = 4.0
    x = dv.view(b)
    lapack.gesv(a, b)  # in place: b becomes the solution
    assert x.tolist() == [[1.0], [2.0]]
    d = x.to(CUDA)
    d[0, 0] = 10.0
    d.copy_to(x)
    assert blas.dot(b, b) == 104.0


@pytest.mark.parametrize("device", ["cpu", CUDA])
def test_cvxopt_takes_views_in_any_layout(device):
    v = dv.view(memoryview(array.array("d", range(6))).cast("B").cast("d", (2, 3))).to(device)
    for part in (v, v.T, v[:, ::-1], v[::-1, ::2]):
        assert rows_of(cvxopt.matrix(part)) == part.tolist()
    z = dv.zeros((2, 2), "Zd", device=device)
    z[0, 1] = 1 - 2j
    assert rows_of(cvxopt.matrix(z)) == [[0j, 1 - 2j], [0j, 0j]]
    assert cvxopt.matrix(z).typecode == "z"


def test_cvxopt_takes_integers_of_the_letters_i_and_l_only():
    v = dv.view(array.array("q", [1, 2, 3]))
    with pytest.raises(TypeError, match="format not supported"):
        cvxopt.matrix(v)  # as it refuses the array itself, of the same size as 'l'
    assert list(cvxopt.matrix(v.cast("l"))) == [1, 2, 3]
    assert list(cvxopt.matrix(dv.view(array.array("i", [1, 2])))) == [1, 2]
