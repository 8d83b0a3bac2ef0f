"""What pickles ask for, and those that are made to harm their reader."""

import io
import pickle
import struct
from collections.abc import Callable

import pytest
import torch

from tedm.extract.backbones.files.pickled import Unreadable, scan

GLOBAL = b"ccollections\nOrderedDict\n"


def scanned(data: bytes):  # type: ignore[no-untyped-def]
    return scan(io.BytesIO(data))


def test_names_are_those_of_todays_python_in_their_order() -> None:
    data = b"\x80\x02]q\x00(c__builtin__\nset\ncposix\nsystem\nccollections\ndefaultdict\ne."
    assert scanned(data).names == ("builtins.set", "posix.system", "collections.defaultdict")
    assert scanned(data).strangers == ("posix.system",)


def test_nothing_is_carried_out() -> None:
    class Trap:
        def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
            return eval, ("1 / 0",)

    assert scanned(pickle.dumps(Trap(), protocol=2)).strangers == ("builtins.eval",)


def test_the_memory_of_tensors_is_told() -> None:
    buffer = io.BytesIO()
    torch.save({"a": torch.zeros(5, 3), "b": torch.zeros(7, dtype=torch.float16)}, buffer)
    data = buffer.getvalue()
    start = data.index(b"\x80\x02")
    assert sorted(scanned(data[start:]).storages.values()) == [14, 60]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "no end|damaged"),
        (b"\x80\x02}", "no end|damaged"),
        (b"\x80\x020.", "POP"),
        (b"\x80\x02.", "damaged"),
        (b"\x80\x02h\x05.", "damaged"),
        (b"\x80\x02)\x85" + b"\x85" * 100 + b".", "tuples in tuples"),
        (b"\x80\x02)" + b"q\x00h\x00\x86" * 40 + b".", "tuples in tuples"),
        (b"\x80\x02]q\x00(h\x00h\x00e)R.", "calls what is no function"),
        (b"\x80\x02ctorch\nFloatStorage\nJ" + struct.pack("<i", 2**30) + b"\x85R.", "calls what is no function"),
        (b"\x80\x02" + GLOBAL + b"}b.", "would change a class"),
        (b"\x80\x02K\x01Q.", "no memory that can be told"),
        (
            b"\x80\x02(X\x07\x00\x00\x00storage" + GLOBAL + b"X\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x04tQ.",
            "no memory that can",
        ),
        (pickle.dumps({"a": 1}, protocol=4), "protocol 4.*pickle_protocol=2"),
        (b"\x80\x02X\xff\xff\xff\x7fabc.", "damaged"),
    ],
    ids=range(14),
)
def test_pickles_that_no_checkpoint_needs_are_refused(data: bytes, said: str) -> None:
    with pytest.raises(Unreadable, match=said):
        scanned(data)
