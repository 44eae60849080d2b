"""What tests of DLPack imports share."""

from __future__ import annotations

import pytest

import devview as dv
from dlpack_capsules import name_of

LOWEST = -(1 << 63)
both = pytest.mark.parametrize("legacy", [False, True], ids=["versioned", "legacy"])


def refused(crafted, match, error=dv.ImportRefused):
    """Expect a refusal that leaves the tensor with its capsule, to delete it once."""
    capsule = crafted.capsule()
    with pytest.raises(error, match=match):
        dv.from_dlpack(capsule)
    assert name_of(capsule) == crafted.name.decode()
    assert crafted.deleted == 0
    del capsule
    assert crafted.deleted == 1
