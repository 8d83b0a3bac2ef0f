"""Files that somebody else wrote: pipes, depth, sizes and ZIPs that are not what they say."""

from __future__ import annotations

import io
import json
import os
import zipfile

import numpy as np
import pytest

from tedm.foreign import array_header, bytes_of, json_of, plain_json, unzipped, zipped


def packed(**contents: bytes) -> zipfile.ZipFile:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in contents.items():
            archive.writestr(name.replace("_", "."), content)
    return zipfile.ZipFile(file)


def test_a_pipe_a_device_and_a_folder_are_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path, type(tmp_path)("/dev/zero")):
        with pytest.raises(ValueError, match="is no plain file"):
            bytes_of(path, most=10)
    (tmp_path / "long").write_bytes(bytes(11))
    with pytest.raises(ValueError, match="more than 10 are not read"):
        bytes_of(tmp_path / "long", most=10)
    (tmp_path / "link").symlink_to("long")
    assert bytes_of(tmp_path / "link", most=11) == bytes(11)


@pytest.mark.parametrize("text", ["[" * 100_000, "[" * 100_000 + "]" * 100_000, '{"a":' * 65 + "1" + "}" * 65])
def test_json_that_is_nested_deeply_is_refused(text, tmp_path):
    (tmp_path / "deep.json").write_text(text)
    with pytest.raises(ValueError, match="nested deeper than 64|Expecting|delimiter"):
        json_of(tmp_path / "deep.json")


def test_json_as_deep_as_is_meant_is_read():
    value = json.loads("[" * 60 + "]" * 60)
    assert plain_json(json.dumps(value)) == value


def test_a_zip_that_unpacks_to_more_than_is_meant_is_refused_whatever_its_directory_says():
    with packed(a=bytes(10**7)) as archive, pytest.raises(ValueError, match="unpacks to more than 1000000"):
        unzipped(archive, most=10**6)
    with packed(a=bytes(600), b=bytes(600)) as archive, pytest.raises(ValueError, match="unpacks to more"):
        unzipped(archive, most=1000)
    inner = packed(a=bytes(10**7)).fp.getvalue()
    with packed(b_npz=inner) as archive, pytest.raises(ValueError, match="unpacks to more"):
        unzipped(archive, most=10**6)
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_BZIP2) as archive:
        archive.writestr("a", b"x")
    with zipfile.ZipFile(file) as archive, pytest.raises(ValueError, match="in an unusual way"):
        unzipped(archive, most=10**6)


def test_what_was_zipped_is_unzipped():
    array = io.BytesIO()
    np.save(array, np.arange(6).reshape(2, 3))
    contents = {"a.npy": array.getvalue(), "b": b"text"}
    with zipfile.ZipFile(io.BytesIO(zipped(contents))) as archive:
        assert unzipped(archive, most=10**6) == contents


def test_an_array_that_is_shorter_than_its_header_says_is_refused():
    file = io.BytesIO()
    np.save(file, np.arange(6))
    assert array_header(file.getvalue())[0] == (6,)
    forged = file.getvalue().replace(b"(6,), }        ", b"(999999999,), }")
    for content in (file.getvalue()[:-1], forged, b"\x93NUMPY\x09\x00", b""):
        with pytest.raises(ValueError, match="array|magic|header"):
            array_header(content)
    objects = io.BytesIO()
    np.save(objects, np.array([{}], object), allow_pickle=True)
    with pytest.raises(ValueError, match="not as long"):
        array_header(objects.getvalue())
