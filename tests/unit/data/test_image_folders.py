"""Folders of images: read unchanged, and errors about them reported at once."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngImageFile

from driftwatch.data.readers import open_dataset
from driftwatch.data.schema import ImageSchema
from driftwatch.errors import DataError

IMAGES = np.random.default_rng(0).integers(0, 256, (50, 6, 7), dtype=np.uint8)


@pytest.mark.parametrize(
    ("suffix", "dtype", "scale"),
    [(".png", "uint16", 200), (".tif", ">u2", 200), (".tif", "int32", 300), (".tif", "f4", 0.3)],
)
def test_grey_images_with_more_than_8_bits_keep_their_values(
    tmp_path: Path, suffix: str, dtype: str, scale: float
) -> None:
    deep = (IMAGES.astype(float) * scale).astype(dtype)
    for number, pixels in enumerate(deep):
        Image.fromarray(pixels).save(tmp_path / f"{number:03}{suffix}")
    dataset = open_dataset(tmp_path)
    schema = dataset.infer_schema()
    assert schema == ImageSchema(
        channels=1, height=6, width=7, dtype="float32", low=float(deep.min()), high=float(deep.max())
    )
    np.testing.assert_array_equal(np.concatenate(list(dataset.chunks(schema, rows=16)))[:, 0], deep)


@pytest.mark.parametrize(("first", "other"), [("uint8", "uint16"), ("uint16", "uint8"), ("int32", "float32")])
def test_an_image_that_would_be_clipped_is_named(tmp_path: Path, first: str, other: str) -> None:
    for name, dtype in (("a", first), ("b", first), ("c", other)):
        Image.fromarray(IMAGES[0].astype(dtype)).save(tmp_path / f"{name}.tif")
    dataset = open_dataset(tmp_path)
    with pytest.raises(
        DataError, match=r"c\.tif: is an image of mode .*, the first image of .* \(convert all to one mode, or"
    ):
        list(dataset.chunks(ImageSchema(channels=1, height=6, width=7)))


def test_an_image_that_is_neither_grey_nor_colour_is_named(tmp_path: Path) -> None:
    Image.new("LAB", (7, 6)).save(tmp_path / "a.tif")
    with pytest.raises(DataError, match=r"a\.tif: is an image of mode LAB \(save it as 8-bit grey or RGB"):
        open_dataset(tmp_path).infer_schema()


def test_a_grey_image_first_in_a_folder_does_not_make_the_others_grey(tmp_path: Path) -> None:
    Image.fromarray(IMAGES[0]).save(tmp_path / "a.png")
    Image.new("RGB", (7, 6), (200, 10, 30)).save(tmp_path / "b.png")
    dataset = open_dataset(tmp_path)
    schema = dataset.infer_schema()
    assert schema == ImageSchema(channels=3, height=6, width=7)
    for found in (dataset, open_dataset(tmp_path)):
        grey, coloured = np.concatenate(list(found.chunks(schema)))
        np.testing.assert_array_equal(grey, np.stack([IMAGES[0]] * 3))
        assert coloured[:, 0, 0].tolist() == [200, 10, 30]


def test_grey_with_transparency_is_grey(tmp_path: Path) -> None:
    Image.fromarray(IMAGES[0]).convert("LA").save(tmp_path / "a.png")
    Image.fromarray(IMAGES[1]).save(tmp_path / "b.png")
    dataset = open_dataset(tmp_path)
    grey = dataset.infer_schema()
    assert grey == ImageSchema(channels=1, height=6, width=7)
    np.testing.assert_array_equal(next(dataset.chunks(grey))[:, 0], IMAGES[:2])
    coloured = next(dataset.chunks(ImageSchema(channels=3, height=6, width=7)))
    np.testing.assert_array_equal(coloured, np.stack([IMAGES[:2]] * 3, axis=1))


def test_all_image_sizes_in_a_folder_are_reported_at_once(tmp_path: Path) -> None:
    for name, size in (("a", (7, 6)), ("b", (7, 6)), ("c", (9, 6)), ("d", (7, 6)), ("e", (1, 2))):
        Image.new("L", size).save(tmp_path / f"{name}.png")
    message = (
        r"holds images of 3 sizes: 3 of 5 are 7x6 pixels, e\.png is 1x2 pixels \(resize all to one size, as the model"
    )
    with pytest.raises(DataError, match=message):
        open_dataset(tmp_path).infer_schema()


def test_all_files_that_are_not_images_are_reported_at_once(tmp_path: Path) -> None:
    for name in "abcd":
        Image.fromarray(IMAGES[0]).save(tmp_path / f"{name}.png")
    (tmp_path / "b.png").write_bytes(b"")
    (tmp_path / "c.png").write_text("not found")
    with pytest.raises(DataError, match=r"b\.png: is no image, .*; 2 of 4 are like this \(leave it out, or replace it"):
        open_dataset(tmp_path).infer_schema()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.ppm", b"P6\n1\xff1 2\n255\n" + bytes(12)),
        ("a.pgm", b"P5\n20 20\n255\n"),
        ("a.pgm", b"P5\n200000 200000\n255\n"),
    ],
)
def test_damaged_images_raise_a_data_error(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=r"a\.p.m: cannot be read: .* \(leave it out"):
        list(open_dataset(tmp_path).chunks(ImageSchema(channels=1, height=20, width=20)))


def test_images_that_are_too_large_are_reported(tmp_path: Path) -> None:
    Image.new("RGB", (4_100, 2)).save(tmp_path / "a.png")
    with pytest.raises(DataError, match=r"holds images of 3 channels and 2x4100 pixels \(.*make them smaller"):
        open_dataset(tmp_path).infer_schema()


def write_vast_png(path: Path, depth: int, colour: int) -> None:
    """Write the head of a PNG of 13,000x13,000 pixels."""
    head = b"IHDR" + struct.pack(">IIBBBBB", 13_000, 13_000, depth, colour, 0, 0, 0)
    data = b"IDAT" + zlib.compress(bytes(100))
    chunks = (struct.pack(">I", len(each) - 4) + each + struct.pack(">I", zlib.crc32(each)) for each in (head, data))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunks))


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize(("depth", "colour"), [(8, 2), (8, 0), (16, 0)])
def test_a_vast_image_is_not_unpacked(tmp_path: Path, depth: int, colour: int, monkeypatch: pytest.MonkeyPatch) -> None:
    write_vast_png(tmp_path / "a.png", depth, colour)

    def unpack(_: object) -> None:
        raise AssertionError("unpacked")

    monkeypatch.setattr(Image.Image, "load", unpack)
    monkeypatch.setattr(PngImageFile, "load", unpack, raising=False)
    dataset = open_dataset(tmp_path)
    with pytest.raises(DataError, match="make them smaller"):
        dataset.infer_schema()
    for channels in (1, 3):
        with pytest.raises(DataError, match=r"is of 13000x13000 pixels|in colour"):
            list(dataset.chunks(ImageSchema(channels=channels, height=28, width=28)))


def test_no_other_program_is_run_for_an_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "gs"
    script.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\nexit 1\n")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setattr("PIL.EpsImagePlugin.gs_binary", None)
    (tmp_path / "a.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 7 6\n%%EndComments\n1 1 moveto\n")
    with pytest.raises(DataError, match="is no image, whatever its name says"):
        list(open_dataset(tmp_path).chunks(ImageSchema(channels=3, height=6, width=7)))
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "TIFF", "WEBP", "PPM", "GIF"])
def test_the_type_of_an_image_depends_on_its_content_not_its_name(tmp_path: Path, kind: str) -> None:
    Image.fromarray(IMAGES[0]).save(tmp_path / "a.png", format=kind)
    (chunk,) = open_dataset(tmp_path).chunks(ImageSchema(channels=3, height=6, width=7))
    assert chunk.shape == (1, 3, 6, 7)
