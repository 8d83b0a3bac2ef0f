"""A store in a bucket: the objects are the files of a store in a folder, and every command that reads one reads the other.

The server is moto's, a real one on loopback in a process of its own.
"""

from __future__ import annotations

import errno
import os
import pickle
import runpy
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from tedm.cli import inspect, label, verify
from tedm.errors import TedmError
from tedm.extract.backbones import load_backbone
from tedm.extract.images import read_manifest
from tedm.extract.run import extract
from tedm.extract.views import extract_views
from tedm.heads import evaluate, fit, method_named, predict
from tedm.store import DamagedError, FeatureStore, Storage
from tedm.store.place import place, write_again

obstore = pytest.importorskip("obstore")
SMALL = runpy.run_path(str(Path(__file__).with_name("test_disk.py")))
SETTINGS = {"timesteps": (1, 50), "device": "cpu", "precision": "float32", "threads": 1, "batch_size": 4}


def served(port: int, **environment: str) -> subprocess.Popen[bytes]:
    """An S3 server on this port."""
    call = [sys.executable, "-W", "ignore", "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    process = subprocess.Popen(call, env={**os.environ, **environment}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for _ in range(300):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/moto-api/", timeout=5).close()
            return process
        except OSError:
            time.sleep(0.1)
    process.kill()
    raise RuntimeError("moto's server does not answer")


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    pytest.importorskip("moto.server")
    port = free_port()
    process = served(port)
    address = f"http://127.0.0.1:{port}"
    urllib.request.urlopen(urllib.request.Request(f"{address}/features", method="PUT")).close()
    yield address
    process.kill()
    process.wait()


@pytest.fixture
def bucket(endpoint, monkeypatch, request) -> str:
    """A place of the test's own in the bucket `features`."""
    for name, value in (
        ("ACCESS_KEY_ID", "a"),
        ("SECRET_ACCESS_KEY", "b"),
        ("REGION", "us-east-1"),
        ("ENDPOINT_URL", endpoint),
    ):
        monkeypatch.setenv(f"AWS_{name}", value)
    return f"s3://features/chest x-rays, München/{request.node.name}"


def objects(url: str) -> dict[str, bytes]:
    where = place(url)
    return {key: where.read(key) for key in where.sizes()}


def tree(path: Path) -> dict[str, bytes]:
    return {str(f.relative_to(path)): f.read_bytes() for f in path.rglob("*") if f.is_file()}


@pytest.mark.parametrize("layout", ["native", pytest.param("upsampled", marks=pytest.mark.slow)])
def test_a_store_extracted_to_a_bucket_is_the_local_one_and_heads_learn_from_it(bucket, dataset, checkpoint, tmp_path, layout):
    backbone, manifest = load_backbone(checkpoint), read_manifest(dataset)

    def stop(done, *_):
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        extract(manifest, bucket, backbone, layout=layout, progress=stop, **SETTINGS)
    assert len(FeatureStore.open(bucket).missing()) == 4
    done = extract(manifest, bucket, backbone, layout=layout, **SETTINGS)
    assert (done.computed, done.reused) == (4, 3)
    local = extract(manifest, tmp_path / "local", backbone, layout=layout, **SETTINGS).store
    for store in (done.store, local):
        assert extract_views(store, backbone, 1, device="cpu", threads=1).computed == 4
    assert objects(bucket) == tree(tmp_path / "local")

    remote = pickle.loads(pickle.dumps(done.store))
    assert remote.path == bucket
    method = method_named("tedm", timesteps=[1, 50], views=1)
    heads = [fit(store, method, iterations=30, seed=0) for store in (remote, local)]
    tests = remote.labels.select(split="test")
    predictions = [list(predict(store, {"head": head}, tests)) for store, head in zip((remote, local), heads, strict=True)]
    for ours, theirs in zip(*predictions, strict=True):
        assert np.array_equal(ours.mask, theirs.mask)
    scores = [evaluate(store, {"head": head}, split="test") for store, head in zip((remote, local), heads, strict=True)]
    assert str(scores[0]) == str(scores[1])


def test_damage_in_a_bucket_is_named_cleared_and_mended(bucket, dataset, checkpoint):
    backbone, manifest = load_backbone(checkpoint), read_manifest(dataset)
    store = extract(manifest, bucket, backbone, layout="native", **SETTINGS).store
    whole, where = objects(bucket), place(bucket)
    first, *_, last = store.feature_arrays()
    flipped = store.files_of("scan 1")[first]
    content = bytearray(whole[flipped])
    content[20] ^= 1
    where.delete(flipped)
    where.put_new(flipped, bytes(content))
    where.delete(store.files_of("scan 2")[last])
    with pytest.raises(DamagedError, match=f"image scan 1: array {first} of the store s3://.* is damaged"):
        store.block("scan 1")
    found = CliRunner().invoke(verify.main, [bucket, "--repair"])
    assert found.exit_code == 1
    assert f"image scan 1: array {first}" in found.stdout
    assert f"image scan 2: array {last}: its file is gone" in found.stdout
    assert "5 of 7" in CliRunner().invoke(inspect.main, [bucket]).stdout
    extract(manifest, bucket, backbone, layout="native", **SETTINGS)
    assert objects(bucket) == whole
    assert CliRunner().invoke(verify.main, [bucket]).exit_code == 0
    assert CliRunner().invoke(label.main, [bucket, str(dataset)]).exit_code == 0


@pytest.mark.slow
def test_processes_that_start_at_once_in_a_bucket_end_in_the_bytes_of_one(bucket, tmp_path):
    path = Path(__file__).with_name("writers.py")
    runpy.run_path(str(path))["extract"](tmp_path / "alone", "native")
    subprocess.run([sys.executable, str(path), "shards", bucket, "native"], check=True, timeout=200)
    for attempt in "abc":
        assert objects(f"{bucket}/{attempt}") == tree(tmp_path / "alone")


def test_files_are_put_once_wherever_they_lie(bucket, tmp_path):
    for where in (place(bucket), place(tmp_path)):
        where.put_new("a folder/key.json", b"first")
        where.put_new("a folder/key.json", b"second")
        assert where.read("a folder/key.json") == b"first"
        assert where.sizes() == where.sizes("a folder") == {"a folder/key.json": 5}
        assert where.sizes("a") == where.sizes("nothing") == {}
        where.delete("a folder/key.json")
        where.delete("a folder/key.json")
        assert where.read("a folder/key.json") is None


def test_a_file_of_pieces_takes_the_place_of_one_that_is_there(bucket, tmp_path):
    for where in (place(bucket), place(tmp_path)):
        for pieces in ([b"first"], [b"sec", memoryview(b"ond"), b""]):
            where.put("a folder/key", pieces)
        assert where.read("a folder/key") == b"second"
        assert where.sizes() == {"a folder/key": 6}


def test_pieces_are_written_whole_however_many_the_system_takes_at_once(tmp_path, monkeypatch):
    pieces = [bytes([number % 256]) * (number % 7) for number in range(3000)]
    place(tmp_path).put("many", pieces)
    whole = os.writev
    monkeypatch.setattr(os, "writev", lambda file, some: os.write(file, b"".join(some)[:1001]))
    place(tmp_path).put("in parts", pieces)
    monkeypatch.setattr(os, "writev", whole)
    monkeypatch.delattr(os, "writev")
    place(tmp_path).put("one by one", pieces)
    assert set(tree(tmp_path).values()) == {b"".join(pieces)}


def test_a_file_that_cannot_be_finished_leaves_the_old_one_and_nothing_else(tmp_path):
    place(tmp_path).put("a folder/key", [b"old"])

    def pieces():
        yield b"half"
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        place(tmp_path).put("a folder/key", pieces())
    assert tree(tmp_path) == {"a folder/key": b"old"}


def test_an_image_of_many_megabytes_goes_to_a_bucket_and_back(bucket, rng):
    """In parts, as obstore uploads what is larger than 5 MB."""
    large = SMALL["settings"](image_size=128, levels=[{"name": "level0", "channels": 256, "stride": 1}])
    cells = [rng.normal(size=(2, 1, 128, 128, 256)).astype(np.float32)]
    store = FeatureStore.create(bucket, large, SMALL["ARITHMETIC"], Storage("native", "float16"), {})
    store.register(SMALL["registrations"](["large"], mask=None), ())
    store.write("large", rng.random((128, 128, 1), dtype=np.float32), cells)
    assert np.array_equal(FeatureStore.open(bucket).block("large", [50]).cells[0], cells[0][1:].astype(np.float16))
    assert max(place(bucket).sizes().values()) > cells[0].nbytes / 2


def test_a_file_system_without_links_takes_a_store_too(tmp_path, monkeypatch):
    def refused(*_, **__):
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refused)
    SMALL["filled"](tmp_path / "without")
    monkeypatch.undo()
    SMALL["filled"](tmp_path / "with")
    assert tree(tmp_path / "without") == tree(tmp_path / "with")


def make(url: str) -> FeatureStore:
    return FeatureStore.create(url, SMALL["SETTINGS"], SMALL["ARITHMETIC"], Storage("native", "float16"), {})


def test_a_bucket_that_does_not_exist_is_said(bucket):
    for attempt in (make, FeatureStore.open, FeatureStore.is_store):
        with pytest.raises(TedmError, match=r"s3://no-such-bucket/x: there is no such bucket; .*AWS_ENDPOINT_URL$"):
            attempt("s3://no-such-bucket/x")
    with pytest.raises(TedmError, match="does not exist; make one with tedm-extract"):
        FeatureStore.open(bucket)


def test_a_server_that_is_not_there_is_said(bucket, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
    with pytest.raises(TedmError, match=r"cannot open the store s3://[^\n]*$"):
        FeatureStore.open(bucket)


def test_wrong_credentials_are_said(bucket, monkeypatch):
    port = free_port()
    process = served(port, INITIAL_NO_AUTH_ACTION_COUNT="0")  # moto's way of saying: from now on, keys matter
    try:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
        for attempt in (make, FeatureStore.open, FeatureStore.is_store):
            with pytest.raises(TedmError, match=r": the access key is unknown there; check AWS_ACCESS_KEY_ID[^\n]*$"):
                attempt(bucket)
    finally:
        process.kill()
        process.wait()


def test_a_missing_extra_and_a_strange_url_are_said(monkeypatch):
    with pytest.raises(TedmError, match=r"nonsense://x cannot be opened: [^\n]*$"):
        FeatureStore.open("nonsense://x")
    monkeypatch.setitem(sys.modules, "obstore", None)
    with pytest.raises(TedmError, match=r"s3://b/x is a URL, and those need obstore; pip install 'tedm\[s3\]'$"):
        FeatureStore.open("s3://b/x")


def test_a_write_that_loses_its_partial_file_begins_anew_and_others_fail():
    tries = []

    def lost(times, name):
        def put():
            tries.append(name)
            if len(tries) <= times:
                raise FileNotFoundError(2, "gone", name)

        return put

    write_again(lost(3, "c.0.partial"))
    assert len(tries) == 4
    tries.clear()
    with pytest.raises(FileNotFoundError):
        write_again(lost(1, "c.0"))
