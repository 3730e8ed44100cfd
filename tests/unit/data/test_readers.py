"""Data sets in files of every supported kind."""

from __future__ import annotations

import contextlib
import gzip
import io
import struct
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pa_parquet
import pytest
from PIL import Image

from driftwatch.data.cells import MISSING_TEXT
from driftwatch.data.readers import CHUNK_ROWS, open_dataset
from driftwatch.data.schema import Column, ImageSchema, TableSchema, VectorSchema
from driftwatch.data.sent_tables import rows_to_send
from driftwatch.data.table_files import TableDataset
from driftwatch.data.table_parts import COMPRESSED
from driftwatch.errors import DataError

IMAGES = np.random.default_rng(0).integers(0, 256, (50, 6, 7), dtype=np.uint8)
TABLE = pd.DataFrame(
    {"age": [1.5, None, 3.0] * 10, "town": ["Ulm", "Bonn", None] * 10, "adult": [True, False, True] * 10}
)


def idx(array: np.ndarray) -> bytes:
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, 0x08, array.ndim, *array.shape) + array.tobytes()


def write(folder: Path, kind: str) -> Path:
    path = folder / f"data{kind}"
    if kind == ".npy":
        np.save(path, IMAGES)
    elif kind == ".npz":
        np.savez(path, labels=np.arange(50), x=IMAGES)
    elif kind == "-idx3-ubyte":
        path.write_bytes(idx(IMAGES))
    elif kind == "-idx3-ubyte.gz":
        path.write_bytes(gzip.compress(idx(IMAGES)))
    else:
        path.mkdir()
        for number, pixels in enumerate(IMAGES):
            Image.fromarray(pixels).save(path / f"{number:03}.png")
    return path


@pytest.mark.parametrize("kind", [".npy", ".npz", "-idx3-ubyte", "-idx3-ubyte.gz", "-folder"])
def test_images_are_read_from_every_kind_of_file(tmp_path: Path, kind: str) -> None:
    dataset = open_dataset(write(tmp_path, kind))
    schema = dataset.infer_schema()
    assert schema == ImageSchema(channels=1, height=6, width=7)
    assert dataset.rows == 50
    chunks = list(dataset.chunks(schema, rows=16))
    assert [len(chunk) for chunk in chunks] == [16, 16, 16, 2]
    np.testing.assert_array_equal(np.concatenate(chunks)[:, 0], IMAGES)
    np.testing.assert_array_equal(next(dataset.chunks(schema, rows=5, start=30))[:, 0], IMAGES[30:35])


@pytest.mark.parametrize("kind", [".csv", ".CSV", ".csv.gz", ".csv.bz2", ".csv.zst", ".parquet", ".PARQUET"])
def test_tables_are_read_from_every_kind_of_file(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"data{kind}"
    if kind.lower() == ".parquet":
        TABLE.to_parquet(path)
    else:
        with pa.output_stream(path, COMPRESSED.get(kind)) as file:
            file.write(TABLE.to_csv(index=False).encode())
    dataset = open_dataset(path)
    schema = dataset.infer_schema()
    assert isinstance(schema, TableSchema)
    assert [(column.name, column.kind, column.categories) for column in schema.columns] == [
        ("age", "numeric", ()),
        ("town", "category", ("Bonn", "Ulm")),
        ("adult", "category", ("false", "true")),
    ]
    chunks = list(dataset.chunks(schema, rows=7))
    assert [len(chunk) for chunk in chunks] == [7, 7, 7, 7, 2]
    np.testing.assert_array_equal(np.concatenate(chunks)[:3], [[1.5, 1, 1], [np.nan, 0, 0], [3, np.nan, 1]])
    chosen = open_dataset(path, columns=["town"])
    assert chosen.infer_schema().shape == (1,)


def test_vectors_and_colour_images_are_recognised(tmp_path: Path) -> None:
    np.save(tmp_path / "v.npy", np.random.default_rng(0).standard_normal((20, 5)))
    assert open_dataset(tmp_path / "v.npy").infer_schema() == VectorSchema(dim=5)
    np.save(tmp_path / "i.npy", np.arange(20).reshape(4, 5))
    assert open_dataset(tmp_path / "i.npy").infer_schema() == VectorSchema(dim=5, integer=True)
    np.save(tmp_path / "c.npy", np.random.default_rng(0).random((4, 8, 9, 3)))
    found = open_dataset(tmp_path / "c.npy").infer_schema()
    assert found == ImageSchema(channels=3, height=8, width=9, dtype="float32", low=0, high=1)


@pytest.mark.parametrize("shape", [(30, 1, 5), (30, 5, 1), (30, 5, 1, 1)])
def test_vectors_with_a_superfluous_axis_are_not_images(tmp_path: Path, shape: tuple[int, ...]) -> None:
    np.save(tmp_path / "v.npy", np.random.default_rng(0).standard_normal(shape))
    with pytest.raises(DataError, match=r"vectors with an axis too many.*give vectors \(N, D\): array\.reshape"):
        open_dataset(tmp_path / "v.npy").infer_schema()


@pytest.mark.parametrize(
    ("shape", "found"),
    [
        ((4, 8, 9, 3), (3, 8, 9)),
        ((4, 3, 8, 9), (3, 8, 9)),
        ((4, 16, 16, 13), (13, 16, 16)),
        ((4, 13, 16, 16), (13, 16, 16)),
        ((4, 64, 7, 7), (64, 7, 7)),
        ((4, 3, 8, 4), (3, 8, 4)),
    ],
)
def test_channels_may_be_first_or_last(tmp_path: Path, shape: tuple[int, ...], found: tuple[int, ...]) -> None:
    np.save(tmp_path / "c.npy", np.random.default_rng(0).random(shape))
    assert open_dataset(tmp_path / "c.npy").infer_schema().shape == found


@pytest.mark.parametrize(("most", "rows"), [(100, 100), (5_000, 5_000), (9_000, 5_000)])
def test_some_samples_are_spread_over_all(tmp_path: Path, most: int, rows: int) -> None:
    np.save(tmp_path / "v.npy", np.arange(10_000.0).reshape(5_000, 2))
    dataset = open_dataset(tmp_path / "v.npy")
    chosen, found = dataset.spread(dataset.infer_schema(), most)
    np.testing.assert_array_equal(found[:, 0], 2 * chosen)
    assert (len(found), len(np.unique(chosen)), bool((np.diff(chosen) > 0).all())) == (rows, rows, True)
    assert np.histogram(chosen, 5, (0, 5_000))[0].min() > rows / 10


def test_tables_that_are_too_wide_are_told(tmp_path: Path) -> None:
    pd.DataFrame(np.zeros((2, 4097))).rename(columns=str).to_parquet(tmp_path / "wide.parquet")
    dataset = open_dataset(tmp_path / "wide.parquet")
    assert isinstance(dataset, TableDataset)
    for read in (dataset.infer_schema, lambda: next(rows_to_send(dataset, 2, 0))):
        with pytest.raises(DataError, match=r"wide\.parquet: has 4,097 columns \(4,096 are the most; give numbers as"):
            read()


@pytest.mark.parametrize(
    ("shape", "dtype", "message"),
    [
        ((2, 512, 7, 7), "f4", r"images of 512 channels and 7x7 pixels \(64 channels and"),
        ((2, 2, 4097), "u1", r"images of 1 channels and 2x4097 pixels"),
        ((2, 150_528), "f4", r"vectors of 150,528 numbers \(65,536 are the most; give images as images"),
    ],
)
def test_samples_that_are_too_large_are_reported(
    tmp_path: Path, shape: tuple[int, ...], dtype: str, message: str
) -> None:
    np.save(tmp_path / "large.npy", np.random.default_rng(0).integers(0, 99, shape).astype(dtype))
    with pytest.raises(DataError, match=rf"large\.npy: holds {message}"):
        open_dataset(tmp_path / "large.npy").infer_schema()


def test_a_nan_is_found_in_the_last_chunk_of_images(tmp_path: Path) -> None:
    images = np.random.default_rng(0).random((2 * CHUNK_ROWS, 2, 2))
    images[-1, 0, 0] = np.nan
    np.save(tmp_path / "late.npy", images)
    with pytest.raises(DataError, match="every pixel must be finite"):
        open_dataset(tmp_path / "late.npy").infer_schema()


def test_the_fingerprint_depends_on_the_contents_only(tmp_path: Path) -> None:
    first = open_dataset(write(tmp_path, "-idx3-ubyte"))
    before = first.fingerprint()
    assert before == first.fingerprint()
    (tmp_path / "data-idx3-ubyte").write_bytes(idx(IMAGES[::-1].copy()))
    assert first.fingerprint() != before


def broken(folder: Path, what: str) -> Path:
    path = folder / what
    contents: dict[str, Any] = {
        "labels.npy": np.arange(9),
        "texts.npy": np.array([["a"]]),
        "none.npy": np.empty((0, 3)),
        "nan.npy": np.full((3, 4, 4), np.nan),
        "constant.npy": np.zeros((3, 4, 4)),
        "wide.npy": np.linspace(-1e38, 1e38, 48).reshape(3, 4, 4),
    }
    if what in contents:
        np.save(path, contents[what])
    elif what == "objects.npy":
        np.save(path, np.array([[{}]], dtype=object), allow_pickle=True)
    elif what == "text.npy":
        path.write_text("hello")
    elif what == "labels.npz":
        np.savez(path, y=np.arange(9), features=np.ones((9, 2)))
    elif what == "short.npy":
        np.save(path, IMAGES)
        path.write_bytes(path.read_bytes()[:200])
    elif what == "short-ubyte.gz":
        path.write_bytes(gzip.compress(idx(IMAGES))[:60])
    elif what == "labels-ubyte":
        path.write_bytes(idx(np.arange(9, dtype=np.uint8)))
    elif what == "no-ubyte":
        path.write_bytes(b"hello")
    elif what == "vast-ubyte":
        path.write_bytes(struct.pack(">BBBB3I", 0, 0, 0x0E, 3, 1 << 31, 1 << 15, 1 << 15))
    elif what == "empty-folder":
        path.mkdir()
    elif what == "mixed-folder":
        path.mkdir()
        Image.fromarray(IMAGES[0]).save(path / "a.png")
        Image.fromarray(IMAGES[0, :3]).save(path / "b.png")
    elif what == "texts.csv":
        pd.DataFrame({"name": [f"person {i}" for i in range(100)]}).to_csv(path, index=False)
    elif what == "dates.csv":
        path.write_text("when\n2026-01-01\n2026-01-02\n")
    elif what == "notes.txt":
        path.write_text("hello")
    return path


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("missing.npy", "no such file"),
        ("notes.txt", "of no known kind"),
        ("labels.npy", "labels or single numbers"),
        ("texts.npy", "expected numbers"),
        ("objects.npy", r"holds Python objects, or no array at all \(save an array of numbers by numpy.save\)"),
        ("text.npy", "holds Python objects, or no array at all"),
        ("labels.npz", r"labels.npz, array y: .* no samples \(name that of the samples 'x': it has y, features\)"),
        ("none.npy", "is empty"),
        ("nan.npy", "every pixel must be finite"),
        ("constant.npy", "every pixel is 0"),
        ("wide.npy", r"pixels lie in \[-1e\+38, 1e\+38\] \(scale them"),
        ("short.npy", "is the file complete"),
        ("short-ubyte.gz", "cannot be read|ends within|no IDX"),
        ("labels-ubyte", "labels, no samples"),
        ("no-ubyte", "is no IDX file"),
        ("vast-ubyte", "declares samples of 8,589,934,592 bytes each, which do not fit into memory"),
        ("empty-folder", "holds no images"),
        ("mixed-folder", "holds images of 2 sizes: 1 of 2 are 7x6 pixels, b.png is 7x3 pixels"),
        ("texts.csv", "column name: has 100 different texts in 100 rows, as ids and free texts have"),
        ("dates.csv", r"column when: is of type date32\[day\] \(leave it out \(data.exclude, or data.columns without"),
    ],
)
def test_files_that_cannot_be_read_are_reported(tmp_path: Path, what: str, message: str) -> None:
    path = broken(tmp_path, what)
    with pytest.raises(DataError, match=message) as caught:  # noqa: PT012 - some faults show only when data are read
        dataset = open_dataset(path)
        schema = dataset.infer_schema()
        list(dataset.chunks(schema))
    assert str(path) in str(caught.value)


def test_arrays_are_read_in_any_type_and_memory_order(tmp_path: Path) -> None:
    numbers = np.random.default_rng(0).normal(size=(40, 5)).astype(np.float16)
    for dtype in (">f2", "<f4", ">f8", np.longdouble):
        np.save(tmp_path / "a.npy", np.asfortranarray(numbers.astype(dtype)))
        dataset = open_dataset(tmp_path / "a.npy")
        np.testing.assert_array_equal(next(dataset.chunks(dataset.infer_schema())), numbers)


def test_arrays_and_archives_are_recognised_by_content_not_by_name(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "a.npz", images=IMAGES)
    (tmp_path / "a.npz").rename(tmp_path / "a.npy")
    np.save(tmp_path / "b.npy", IMAGES)
    (tmp_path / "b.npy").rename(tmp_path / "b.NPZ")
    for name in ("a.npy", "b.NPZ"):
        assert open_dataset(tmp_path / name).infer_schema() == ImageSchema(channels=1, height=6, width=7)


@pytest.mark.parametrize("name", ["a.npy", "a.npz"])
def test_a_damaged_array_is_read_or_reported(name: str, tmp_path: Path) -> None:
    array = np.random.default_rng(0).normal(size=(40, 5))
    path = tmp_path / name
    (np.save if path.suffix == ".npy" else np.savez_compressed)(path, array)  # type: ignore[arg-type]
    whole = path.read_bytes()
    for place in range(0, len(whole), 1 if path.suffix == ".npy" else 3):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x20]) + whole[place + 1 :])
        with contextlib.suppress(DataError), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about headers that Python 2 may have written
            assert open_dataset(path).rows


def test_an_archive_that_does_not_fit_into_memory_is_reported(tmp_path: Path) -> None:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": (1 << 40, 8)})
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("x.npy", header.getvalue())
    with pytest.raises(DataError, match=r"a\.npz: cannot be read: Unable to allocate .* \(arrays in archives"):
        open_dataset(tmp_path / "a.npz")


def test_missing_columns_are_named(tmp_path: Path) -> None:
    TABLE.to_csv(tmp_path / "t.csv", index=False)
    with pytest.raises(DataError, match=r"no column 'height' \(it has age, town, adult\)"):
        open_dataset(tmp_path / "t.csv", columns=["height"])


@pytest.mark.parametrize("text", [*sorted(MISSING_TEXT), " NA", "NA "])
def test_missing_values_in_a_file_are_missing_in_a_message(tmp_path: Path, text: str) -> None:
    rows = [{"age": 1.5, "town": "Ulm"}, {"age": text, "town": text}, {"age": None, "town": None}]
    path = tmp_path / "a.csv"
    path.write_text(f'age,town\n1.5,Ulm\n"{text}",{text}\n,\n')
    dataset = open_dataset(path)
    schema = dataset.infer_schema()
    assert schema == TableSchema(
        columns=(Column(name="age", kind="numeric"), Column(name="town", kind="category", categories=("Ulm",)))
    )
    pd.DataFrame(rows).astype({"age": str, "town": str}).to_parquet(tmp_path / "a.parquet")
    assert open_dataset(tmp_path / "a.parquet", columns=["town"]).infer_schema() == TableSchema(
        columns=schema.columns[1:]
    )
    expected = [[1.5, 0], [np.nan, np.nan], [np.nan, np.nan]]
    for found in (
        next(dataset.chunks(schema)),
        next(open_dataset(tmp_path / "a.parquet").chunks(schema)),
        schema.coerce(rows),
        schema.coerce(pd.read_csv(path, skipinitialspace=True)),
    ):
        np.testing.assert_array_equal(found, expected)


def test_a_duplicate_column_is_named(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,b,a\n1,2,x\n")
    with pytest.raises(DataError, match=r"t\.csv: has column 'a' 2 times \(rename it, or leave it out \(data.exclude"):
        open_dataset(tmp_path / "t.csv").infer_schema()
    assert open_dataset(tmp_path / "t.csv", columns=["b"]).infer_schema().shape == (1,)
    assert open_dataset(tmp_path / "t.csv", exclude=["a"]).infer_schema().shape == (1,)


def write_parts(folder: Path, suffix: str) -> Path:
    """The table in three files below folders that are keys, as Spark writes them."""
    for number, place in enumerate(
        ("day=2026-01-01/region=eu", "day=2026-01-01/region=us", "day=2026-01-02/region=eu")
    ):
        path = folder / "parts" / place / f"part-{number}{suffix}"
        path.parent.mkdir(parents=True)
        rows = TABLE[10 * number : 10 * number + 10]
        rows.to_parquet(path) if suffix == ".parquet" else rows.to_csv(path, index=False)
    (folder / "parts" / "_SUCCESS").touch()
    (folder / "parts" / "_log").mkdir()
    TABLE.to_parquet(folder / "parts" / "_log" / "checkpoint.parquet")
    return folder / "parts"


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
@pytest.mark.parametrize("pattern", ["", "*/*/*"])
def test_a_table_may_consist_of_several_files(tmp_path: Path, suffix: str, pattern: str) -> None:
    folder = write_parts(tmp_path, suffix)
    TABLE.to_parquet(tmp_path / "whole.parquet")
    whole, parts = open_dataset(tmp_path / "whole.parquet"), open_dataset(folder / f"{pattern}{pattern and suffix}")
    schema = whole.infer_schema()
    assert parts.infer_schema() == schema
    assert parts.rows == 30
    np.testing.assert_array_equal(*(np.concatenate(list(each.chunks(schema, rows=7))) for each in (whole, parts)))
    for start in (3, 10, 24):
        np.testing.assert_array_equal(*(next(each.chunks(schema, rows=6, start=start)) for each in (whole, parts)))


def test_columns_can_be_excluded(tmp_path: Path) -> None:
    path = write_parts(tmp_path, ".parquet")
    schema = open_dataset(path, exclude=["town", "region"]).infer_schema()
    assert isinstance(schema, TableSchema)
    assert [column.name for column in schema.columns] == ["age", "adult"]
    assert len(np.concatenate(list(open_dataset(path, exclude=["town"]).chunks(schema)))) == len(TABLE)
    with pytest.raises(DataError, match=r"parts: has no column 'twon' \(is it 'town'\? it has age, town, adult"):
        open_dataset(path, exclude=["twon"])
    with pytest.raises(DataError, match=r"has no column 'Town' \(is it 'town'\? it has age"):
        open_dataset(path, columns=["Town"])
    with pytest.raises(DataError, match="all columns are excluded"):
        open_dataset(path, exclude=["age", "town", "adult"])
    with pytest.raises(DataError, match=r"has no columns to choose \(leave data.exclude out\)"):
        open_dataset(write(tmp_path, ".npy"), exclude=["age"])


def test_a_column_of_vectors_is_refused_with_the_remedy(tmp_path: Path) -> None:
    pd.DataFrame({"age": [1.0, 2.0], "embedding": [[1.0, 2.0], [3.0, 4.0]]}).to_parquet(tmp_path / "t.parquet")
    with pytest.raises(DataError, match=r"column embedding: is of type list.* its vectors .* as an array \(N, D\)"):
        open_dataset(tmp_path / "t.parquet").infer_schema()


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_names_of_folders_are_a_column_on_request(tmp_path: Path, suffix: str) -> None:
    folder = write_parts(tmp_path, suffix)
    schema = open_dataset(folder, columns=["region", "age"]).infer_schema()
    assert isinstance(schema, TableSchema)
    assert [(column.name, column.categories) for column in schema.columns] == [("region", ("eu", "us")), ("age", ())]
    rows = np.concatenate(list(open_dataset(folder).chunks(schema)))
    np.testing.assert_array_equal(rows[:, 0], np.repeat([0, 1, 0], 10))
    (folder / "day=2026-01-02/region=eu").rename(folder / "day=2026-01-02/region=__HIVE_DEFAULT_PARTITION__")
    rows = np.concatenate(list(open_dataset(folder).chunks(schema)))
    np.testing.assert_array_equal(rows[:, 0], np.repeat([0, 1, np.nan], 10))


def test_bundles_and_hidden_files_are_not_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    TABLE.to_csv(tmp_path / "t.csv", index=False)
    for folder in ("bundles/mine", ".git", "_log"):
        (tmp_path / folder).mkdir(parents=True)
        TABLE.assign(more=1).to_csv(tmp_path / folder / "report.csv", index=False)
    for folder in ("bundles/mine", ".git"):
        Image.fromarray(IMAGES[0]).save(tmp_path / folder / "report.png")
    for name in ("manifest.json", "flow.safetensors"):
        (tmp_path / "bundles/mine" / name).touch()
    monkeypatch.chdir(tmp_path)
    for place in (".", tmp_path):
        assert open_dataset(place).files() == [Path(place) / "t.csv"]
    with pytest.raises(DataError, match=r"^bundles/mine: is a bundle, no data"):
        open_dataset("bundles/mine")
    with pytest.raises(DataError, match="holds no images and no tables"):
        open_dataset("bundles")


def test_a_folder_of_images_with_a_manifest_is_data(tmp_path: Path) -> None:
    folder = write(tmp_path, "-folder")
    (folder / "manifest.json").touch()
    assert open_dataset(tmp_path).rows == open_dataset(folder).rows == 50


def test_a_column_that_is_empty_in_one_file_has_the_type_of_the_others(tmp_path: Path) -> None:
    for number, town in enumerate((None, "Ulm", None)):
        TABLE.assign(town=town).to_parquet(tmp_path / f"{number}.parquet")
    schema = open_dataset(tmp_path).infer_schema()
    assert isinstance(schema, TableSchema)
    assert [(column.name, column.categories) for column in schema.columns][1] == ("town", ("Ulm",))


def test_files_of_a_table_that_do_not_match_are_named(tmp_path: Path) -> None:
    for name, change in (("b", {"age": "old"}), ("c", None)):
        folder = tmp_path / name
        folder.mkdir()
        TABLE.to_parquet(folder / "1.parquet")
        (TABLE.assign(**change) if change else TABLE.drop(columns="town")).to_parquet(folder / "2.parquet")
    with pytest.raises(DataError, match=r"b/2.parquet: column age: holds (large_)?string, in 1.parquet double"):
        open_dataset(tmp_path / "b").infer_schema()
    with pytest.raises(DataError, match=r"c/2.parquet: has no column 'town' \(it has age, adult\)"):
        open_dataset(tmp_path / "c").infer_schema()
    TABLE.to_csv(tmp_path / "c" / "3.csv", index=False)
    TABLE.to_csv(tmp_path / "b" / "2.csv.gz", index=False)
    TABLE.to_csv(tmp_path / "b" / "2.csv", index=False)
    with pytest.raises(DataError, match=r"b: holds .csv and .csv.gz and .parquet \(choose: .*b/\*.csv\)"):
        open_dataset(tmp_path / "b")
    with pytest.raises(DataError, match=r"c: holds .csv and .parquet \(choose: .*c/\*.csv\)"):
        open_dataset(tmp_path / "c")
    with pytest.raises(DataError, match="no such file"):
        open_dataset(tmp_path / "c/*.npy")


def test_a_table_of_labels_beside_images_is_ignored(tmp_path: Path) -> None:
    folder = write(tmp_path, "-folder")
    TABLE.to_csv(folder / "labels.csv", index=False)
    assert open_dataset(folder).infer_schema() == ImageSchema(channels=1, height=6, width=7)


def test_columns_with_another_spelling_are_suggested(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("AGE,TOWN\n3,Ulm\n")
    schema = TableSchema(columns=(Column(name="age", kind="numeric"), Column(name="town", kind="category")))
    message = (
        r"'age' is missing, and 1 more \(is it 'AGE'\? expected columns age, town; not expected, but there: AGE, T"
    )
    with pytest.raises(DataError, match=message):
        next(open_dataset(tmp_path / "a.csv").chunks(schema))


def test_a_parquet_file_without_rows_is_reported(tmp_path: Path) -> None:
    TABLE[:0].to_parquet(tmp_path / "a.parquet")
    with pytest.raises(DataError, match=r"a\.parquet: has no rows"):
        open_dataset(tmp_path / "a.parquet")


def test_a_parquet_file_is_not_loaded_into_memory(tmp_path: Path) -> None:
    schema = pa.schema([("x", pa.float64())])
    with pa_parquet.ParquetWriter(tmp_path / "long.parquet", schema) as writer:
        for seed in range(64):
            writer.write_table(pa.table({"x": np.random.default_rng(seed).normal(size=1 << 14)}, schema=schema))
    size = (tmp_path / "long.parquet").stat().st_size
    dataset = open_dataset(tmp_path / "long.parquet")
    columns = TableSchema(columns=(Column(name="x", kind="numeric"),))
    before, most = pa.total_allocated_bytes(), 0
    for _ in dataset.chunks(columns):
        most = max(most, pa.total_allocated_bytes() - before)
    assert most < size / 4
