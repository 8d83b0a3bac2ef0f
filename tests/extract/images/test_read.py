"""Files to intensities and labels."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from tedm.errors import TedmError
from tedm.extract.images.read import intensity_problem, read_header, read_image, read_mask, stem_of

HEIGHT, WIDTH = 5, 7
RNG = np.random.default_rng(8)
GREY = RNG.integers(0, 256, (HEIGHT, WIDTH), np.uint8)
DEEP = RNG.integers(0, 65536, (HEIGHT, WIDTH), np.uint16)
COLOURS = RNG.integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
FLOATS = RNG.normal(40, 300, (HEIGHT, WIDTH)).astype(np.float32)


def save(path: Path, array: NDArray[Any], **options: Any) -> Path:
    Image.fromarray(array).save(path, **options)
    return path


def save_png(path: Path, values: NDArray[Any], bits: int, colour: int) -> Path:
    """Write a PNG of a bit depth that Pillow does not write; `values` is (height, width) or (height, width, samples)."""
    samples = values.reshape(len(values), -1).astype(np.uint16)
    if bits == 16:
        lines = [row.astype(">u2").tobytes() for row in samples]
    else:
        planes = [(samples >> (bits - 1 - bit)) & 1 for bit in range(bits)]
        lines = [np.packbits(row).tobytes() for row in np.stack(planes, -1).reshape(len(values), -1).astype(np.uint8)]

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", values.shape[1], values.shape[0], bits, colour, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" + line for line in lines))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b""))
    return path


def grey(path: Path, intensity_range: tuple[float, float] | None = None) -> NDArray[np.float32]:
    image = read_image(path, channels=1, intensity_range=intensity_range)
    assert image.shape[2] == 1
    assert image.dtype == np.float32
    return image[..., 0]


@pytest.mark.parametrize("suffix", ["png", "tif", "tiff", "PNG"])
def test_eight_bits_are_divided_by_255(tmp_path: Path, suffix: str) -> None:
    np.testing.assert_array_equal(grey(save(tmp_path / f"a.{suffix}", GREY)), GREY / np.float32(255))


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_sixteen_bits_are_divided_by_65535(tmp_path: Path, suffix: str) -> None:
    path = save(tmp_path / f"a.{suffix}", DEEP)
    np.testing.assert_array_equal(grey(path), DEEP / np.float32(65535))
    assert (read_header(path).bits, read_header(path).white) == (16, 65535)


def test_both_byte_orders_and_a_compressed_tiff_are_the_same_image(tmp_path: Path) -> None:
    big = Image.frombytes("I;16B", (WIDTH, HEIGHT), DEEP.astype(">u2").tobytes())
    big.save(tmp_path / "big.tif")
    save(tmp_path / "packed.tif", DEEP, compression="tiff_lzw")
    np.testing.assert_array_equal(grey(tmp_path / "big.tif"), DEEP / np.float32(65535))
    np.testing.assert_array_equal(grey(tmp_path / "packed.tif"), DEEP / np.float32(65535))


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_few_bits_keep_their_numbers(tmp_path: Path, bits: int) -> None:
    values = GREY >> (8 - bits)
    path = save_png(tmp_path / "a.png", values, bits, 0)
    np.testing.assert_array_equal(read_mask(path), values)
    np.testing.assert_array_equal(grey(path), values / np.float32(2**bits - 1))


def test_a_jpeg_is_what_pillow_decodes(tmp_path: Path) -> None:
    path = save(tmp_path / "a.jpg", GREY)
    with Image.open(path) as image:
        np.testing.assert_array_equal(grey(path), np.asarray(image) / np.float32(255))


def test_an_intensity_range_says_what_black_and_white_are(tmp_path: Path) -> None:
    expected = ((DEEP.astype(np.float64) - 1000) / 30000).clip(0, 1).astype(np.float32)
    np.testing.assert_array_equal(grey(save(tmp_path / "a.png", DEEP), (1000, 31000)), expected)
    expected = ((FLOATS.astype(np.float64) + 100) / 300).clip(0, 1).astype(np.float32)
    np.testing.assert_array_equal(grey(save(tmp_path / "f.tif", FLOATS), (-100, 200)), expected)


def test_a_float_image_needs_an_intensity_range(tmp_path: Path) -> None:
    path = save(tmp_path / "f.tif", FLOATS)
    with pytest.raises(TedmError, match=r"f\.tif.*--intensity-range"):
        grey(path)
    assert intensity_problem(read_header(path), (-100, 200)) is None


def test_an_impossible_intensity_range_is_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", GREY)
    for impossible in [(5.0, 5.0), (9.0, 2.0), (0.0, np.inf), (np.nan, 1.0)]:
        with pytest.raises(TedmError, match="intensity range"):
            grey(path, impossible)


def test_nan_is_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "f.tif", np.where(FLOATS > 300, np.float32(np.nan), FLOATS))
    with pytest.raises(TedmError, match=r"f\.tif: holds NaN"):
        grey(path, (0, 1))


def test_tinted_grey_becomes_grey_by_pillows_luma_without_its_rounding(tmp_path: Path) -> None:
    tinted = (GREY[..., None] // 2 + COLOURS // 16).astype(np.uint8)
    image = grey(save(tmp_path / "a.png", tinted))
    pillows = np.asarray(Image.fromarray(tinted).convert("L"))
    np.testing.assert_array_equal(np.floor(image.astype(np.float64) * 255 + 0.5 + 1e-5), pillows)
    assert len(np.unique((image * 255) % 1)) > 5
    twins = np.repeat(GREY[..., None], 3, axis=2)
    np.testing.assert_array_equal(grey(save(tmp_path / "b.png", twins)), GREY / np.float32(255))


def test_colours_are_refused_where_one_channel_is_wanted(tmp_path: Path) -> None:
    with pytest.raises(TedmError, match=r"a\.png: is in colour, .* backbone of three channels"):
        grey(save(tmp_path / "a.png", COLOURS))


def test_colours_stay_colours_and_grey_is_repeated(tmp_path: Path) -> None:
    image = read_image(save(tmp_path / "a.png", COLOURS), channels=3, intensity_range=None)
    np.testing.assert_array_equal(image, COLOURS / np.float32(255))
    repeated = read_image(save(tmp_path / "b.png", GREY), channels=3, intensity_range=None)
    np.testing.assert_array_equal(repeated, np.repeat(GREY[..., None], 3, axis=2) / np.float32(255))


def test_alpha_is_dropped(tmp_path: Path) -> None:
    alpha = GREY[::-1, :, None]
    image = read_image(save(tmp_path / "a.png", np.concatenate([COLOURS, alpha], 2)), channels=3, intensity_range=None)
    np.testing.assert_array_equal(image, COLOURS / np.float32(255))
    path = save(tmp_path / "b.png", np.concatenate([GREY[..., None], alpha], 2))
    np.testing.assert_array_equal(grey(path), GREY / np.float32(255))


def test_a_palette_is_colours_in_an_image_and_indices_in_a_mask(tmp_path: Path) -> None:
    indices = GREY % 5
    palette = Image.frombytes("P", (WIDTH, HEIGHT), indices.tobytes())
    table = RNG.integers(0, 256, (5, 3), np.uint8)
    palette.putpalette(table.tobytes())
    palette.save(tmp_path / "a.png")
    palette.save(tmp_path / "b.png", transparency=b"\x00\x80")
    palette.save(tmp_path / "c.tif")
    for name in ("a.png", "b.png", "c.tif"):
        image = read_image(tmp_path / name, channels=3, intensity_range=None)
        np.testing.assert_array_equal(image, table[indices] / np.float32(255))
        np.testing.assert_array_equal(read_mask(tmp_path / name), indices)


def test_sixteen_bit_colours_keep_all_bits_and_take_a_range(tmp_path: Path) -> None:
    deep = RNG.integers(0, 65536, (HEIGHT, WIDTH, 3), np.uint16)
    path = save_png(tmp_path / "a.png", deep, 16, 2)
    np.testing.assert_array_equal(read_image(path, channels=3, intensity_range=None), deep / np.float32(65535))
    expected = (deep.astype(np.float64) / 4000).clip(0, 1).astype(np.float32)
    np.testing.assert_array_equal(read_image(path, channels=3, intensity_range=(0, 4000)), expected)
    with pytest.raises(TedmError, match="a mask in colours"):
        read_mask(path)


@pytest.mark.parametrize("array", [GREY, DEEP], ids=["8 bits", "16 bits"])
def test_white_is_zero_is_inverted(tmp_path: Path, array: NDArray[Any]) -> None:
    path = save(tmp_path / "a.tif", array)
    raw = path.read_bytes()
    at = raw.index(struct.pack("<HH", 262, 3)) + 8  # where the tag's value is: Pillow writes its own
    path.write_bytes(raw[:at] + struct.pack("<H", 0) + raw[at + 2 :])
    largest = np.iinfo(array.dtype).max
    np.testing.assert_array_equal(grey(path), (largest - array) / np.float32(largest))


@pytest.mark.parametrize("suffix", ["jpg", "tif"])
@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_images_are_turned_upright(tmp_path: Path, suffix: str, orientation: int) -> None:
    pixels = np.arange(16 * 24, dtype=np.uint8).reshape(16, 24) // 2 + np.eye(16, 24, dtype=np.uint8) * 60
    exif = Image.Exif()
    exif[274] = orientation
    options = {"exif": exif} if suffix == "jpg" else {"tiffinfo": {274: orientation}}
    path = save(tmp_path / f"a.{suffix}", pixels, **options)
    turns = {1: 0, 3: 2, 6: 3, 8: 1}[orientation]
    plain = grey(save(tmp_path / f"plain.{suffix}", pixels))
    np.testing.assert_array_equal(grey(path), np.rot90(plain, turns))
    header = read_header(path)
    assert (header.height, header.width) == np.rot90(pixels, turns).shape


@pytest.mark.parametrize(
    ("name", "array"),
    [("a.png", GREY), ("a.png", DEEP), ("a.tif", DEEP), ("a.tif", np.trunc(FLOATS)), ("a.tif", FLOATS.astype(np.int32))],
)
def test_a_mask_keeps_its_numbers(tmp_path: Path, name: str, array: NDArray[Any]) -> None:
    np.testing.assert_array_equal(read_mask(save(tmp_path / name, array)), array)


def test_a_bilevel_mask_is_zero_and_one(tmp_path: Path) -> None:
    for name in ["a.png", "a.tif"]:
        np.testing.assert_array_equal(read_mask(save(tmp_path / name, GREY > 127)), GREY > 127)


def test_a_mask_in_colours_is_refused_unless_they_are_grey(tmp_path: Path) -> None:
    np.testing.assert_array_equal(read_mask(save(tmp_path / "a.png", np.repeat(GREY[..., None], 3, axis=2))), GREY)
    with pytest.raises(TedmError, match=r"b\.png: a mask in colours; save one channel"):
        read_mask(save(tmp_path / "b.png", COLOURS))


def test_a_mask_with_fractions_or_jpeg_compression_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TedmError, match=r"a\.tif.*whole numbers"):
        read_mask(save(tmp_path / "a.tif", FLOATS))
    with pytest.raises(TedmError, match=r"a\.jpg.*JPEG"):
        read_mask(save(tmp_path / "a.jpg", GREY))


def test_the_header_tells_the_size_without_decoding(tmp_path: Path) -> None:
    path = save_png(tmp_path / "a.png", GREY, 8, 0)
    whole = path.read_bytes()
    at = whole.index(b"IDAT") + 8
    path.write_bytes(whole[:at] + b"\xff\xff\xff" + whole[at + 3 :])  # pixels that cannot be decoded
    header = read_header(path)
    assert (header.height, header.width, header.mode, header.bits, header.white) == (HEIGHT, WIDTH, "L", 8, 255)
    with pytest.raises(TedmError, match=r"a\.png: cannot be decoded"):
        grey(path)


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.tif", "packed.tif"])
def test_a_file_that_is_cut_off_is_noticed_by_its_header(tmp_path: Path, name: str) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (90, 110), np.uint8)
    path = save(tmp_path / name, noise, **({"compression": "tiff_lzw"} if name == "packed.tif" else {}))
    read_header(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    for read in (read_header, grey):
        with pytest.raises(TedmError, match=name.replace(".", r"\.")):
            read(path)


def test_a_whole_jpeg_without_its_end_marker_is_taken(tmp_path: Path) -> None:
    path = save(tmp_path / "a.jpg", GREY)
    before = grey(path)
    path.write_bytes(path.read_bytes().removesuffix(b"\xff\xd9") + b"\0" * 5000)
    read_header(path)
    np.testing.assert_array_equal(grey(path), before)


def test_every_bad_file_is_named_with_its_cause(tmp_path: Path) -> None:
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "text.png").write_text("no image at all, only text")
    (tmp_path / "folder.png").mkdir()
    Image.fromarray(GREY).save(tmp_path / "gif.png", format="GIF")
    save(tmp_path / "b.bmp", GREY)
    Image.fromarray(COLOURS).convert("CMYK").save(tmp_path / "cmyk.jpg")
    Image.fromarray(GREY).save(tmp_path / "pages.tif", save_all=True, append_images=[Image.fromarray(GREY[::-1])])
    Image.fromarray(GREY).save(tmp_path / "moves.png", save_all=True, append_images=[Image.fromarray(GREY[::-1])])
    causes = {
        "absent.png": "no such file",
        "empty.png": "an empty file",
        "text.png": "no image",
        "folder.png": "a folder",
        "gif.png": "a GIF file; PNG, JPEG and TIFF are taken",
        "b.bmp": "not read; PNG, JPEG, TIFF, NIfTI, NRRD and DICOM are",
        "cmyk.jpg": "CMYK",
        "pages.tif": "holds 2 images; save each",
        "moves.png": "holds 2 images",
    }
    for name, cause in causes.items():
        for read in (read_header, read_mask, grey):
            with pytest.raises(TedmError) as caught:
                read(tmp_path / name)
            assert str(caught.value).startswith(str(tmp_path / name))
            assert cause in str(caught.value)


def test_content_decides_the_format(tmp_path: Path) -> None:
    Image.fromarray(GREY).save(tmp_path / "a.jpg", format="PNG")
    np.testing.assert_array_equal(grey(tmp_path / "a.jpg"), GREY / np.float32(255))


def test_an_enormous_image_is_refused_before_it_is_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(tmp_path / "a.png", GREY)
    for limit in (34, 20, 3):  # just above, above, and far above Pillow's limit
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
        with pytest.raises(TedmError, match=rf"a\.png: more than {limit} pixels"):
            read_header(path)


def test_only_the_readers_suffix_is_cut_from_a_name() -> None:
    assert [stem_of(Path(name)) for name in ("a/b.c.png", "x.TIFF", "y.txt")] == ["b.c", "x", "y"]
