"""Samples for training: split by a hash of their contents, shuffled, in memory if they fit and streamed if not."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from driftwatch.data.readers import Dataset
from driftwatch.data.schema import Samples, Schema, TableSchema, VectorSchema
from driftwatch.data.table_files import TableDataset
from driftwatch.errors import DataError, TrainingError
from driftwatch.reference.contents import Contents, contents_of
from driftwatch.reference.many_categories import Gathered, count_values, many, with_columns
from driftwatch.reference.shuffling import batched, shuffled

Part = Literal["fit", "validation", "calibration"]

PARTS: tuple[Part, ...] = ("fit", "validation", "calibration")
MIN_ROWS = 1_000
MIN_HELD_OUT = 400
MIN_BUFFER_ROWS = 2_048
COUNTED_ROWS = 1 << 20


class TrainingData:
    """Several data sets, read one after another as one.

    Args:
        datasets: all of one schema.
        schema: of one sample.
        fractions: of the rows, for validation and for calibration.
        seed: of the split and of the shuffle.
        memory_bytes: most memory for samples.
        gather: whether rare values in columns of many categories share one code; the attribute `schema` reflects that.

    Raises:
        TrainingError: there are too few rows.
    """

    def __init__(
        self,
        datasets: Sequence[Dataset],
        schema: Schema,
        *,
        fractions: tuple[float, float],
        seed: int = 0,
        memory_bytes: int = 2 << 30,
        gather: bool = False,
    ) -> None:
        self._datasets = tuple(datasets)
        self._read_by = self.schema = schema
        self.gathered: tuple[Gathered, ...] = ()
        self._fractions = fractions
        self._seed = seed
        self.rows = sum(dataset.rows for dataset in datasets)
        if self.rows < MIN_ROWS:
            enough = max(MIN_ROWS, math.ceil(1.1 * MIN_HELD_OUT / fractions[1]))
            raise TrainingError(
                f"{self.rows} samples are too few to learn from",
                where=self.where,
                remedy=f"give at least {enough:,}, of which {fractions[1]:.0%} are held out for calibration",
            )
        self._held_type: type[np.generic] = np.float64
        if schema.kind == "image":
            self._held_type = np.uint8 if schema.dtype == "uint8" else np.float32
        self.sample_bytes = int(np.prod(schema.shape)) * np.dtype(self._held_type).itemsize
        self.buffer_rows = max(MIN_BUFFER_ROWS, memory_bytes // self.sample_bytes)
        self._held: Samples | None = None
        if gather and isinstance(schema, TableSchema):
            self.gathered = self._gather(schema)
            self.schema = with_columns(schema, self.gathered)

    @property
    def where(self) -> str:
        """The files, for error messages."""
        return ", ".join(str(dataset.path) for dataset in self._datasets)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over the contents of all data sets."""
        digest = hashlib.sha256()
        for dataset in self._datasets:
            digest.update(dataset.fingerprint().encode())
        return digest.hexdigest()

    @cached_property
    def contents(self) -> Contents:
        """Hashes of all samples, to find equal ones, in one pass over the data."""
        return contents_of((chunk for _, chunk in self._chunks()), self.rows)

    @cached_property
    def leaked(self) -> float:
        """The share of calibration samples that are also in the fitting part; 0 if not all samples were hashed."""
        hashes = self.contents.hashes
        if not self.contents.complete:
            return 0.0
        parts = np.concatenate([self._part_of(rows) for rows in self._counted()])
        held_out = hashes[parts == PARTS.index("calibration")]
        return float(np.isin(held_out, hashes[parts == PARTS.index("fit")]).mean()) if len(held_out) else 0.0

    def place_of(self, row: int) -> str:
        """The position of a row, for messages."""
        files = ""
        for dataset in self._datasets:
            if len(self._datasets) > 1:
                files = f" of {dataset.path.name}"
            if row < dataset.rows:
                break
            row -= dataset.rows
        return f"row {row + 1:,}{files}"

    @cached_property
    def fit_rows(self) -> int:
        """The number of samples in the fitting part."""
        return sum(int((self._part_of(rows) == PARTS.index("fit")).sum()) for rows in self._counted())

    def samples(self, limits: Mapping[Part, int]) -> dict[Part, Samples]:
        """Some samples of each part, spread evenly over the data and in its order, in one pass over it.

        Args:
            limits: the most samples of each part.

        Returns:
            Samples ``(N, *schema.shape)`` by part.

        Raises:
            DataError: the data does not fit the schema.
            TrainingError: a part is empty.
        """
        shares = dict(zip(PARTS, (1.0 - sum(self._fractions), *self._fractions), strict=True))
        rates = {part: limit / max(1.0, self.rows * shares[part]) for part, limit in limits.items()}
        chosen: dict[Part, list[Samples]] = {part: [] for part in limits}
        for rows, chunk in self._chunks():
            parts, draw = self._part_of(rows), uniform_hash(rows, self._seed + 1)
            for part, found in chosen.items():
                mine = (parts == PARTS.index(part)) & (draw < rates[part])
                if mine.any():
                    found.append(self._rewritten(chunk[mine], part))
        for part, found in chosen.items():
            if not found:
                raise TrainingError(
                    f"no samples are left for {part}", where=self.where, remedy="give more data or a larger fraction"
                )
        return {part: np.concatenate(found)[: limits[part]] for part, found in chosen.items()}

    def batches(self, size: int, epoch: int, *, rank: int = 0, world: int = 1) -> Iterator[Samples]:
        """One pass over the fitting part in a new random order, in full batches ``(size, *schema.shape)``.

        Args:
            size: of a batch.
            epoch: number of the pass.
            rank: of this process; each process gets a different share and the same number of batches.
            world: number of processes.
        """
        rng = np.random.default_rng((self._seed, epoch, rank))
        share = self.fit_rows // world
        for batch in batched(self._shuffled(rng, share, rank, world), size, share // size):
            yield batch.astype(np.float32 if self.schema.kind == "image" else np.float64)

    def _shuffled(self, rng: np.random.Generator, share: int, rank: int, world: int) -> Iterator[Samples]:
        if share >= self.buffer_rows:
            yield from shuffled(self._share(rank, world), self.buffer_rows, rng)
            return
        if self._held is None:
            held = np.empty((share + 1, *self.schema.shape), dtype=self._held_type)
            count = 0
            for chunk in self._share(rank, world):
                held[count : count + len(chunk)] = chunk
                count += len(chunk)
            self._held = held[:count]
        order = rng.permutation(len(self._held))
        for start in range(0, len(order), MIN_BUFFER_ROWS):
            yield self._held[order[start : start + MIN_BUFFER_ROWS]]

    def _share(self, rank: int, world: int) -> Iterator[Samples]:
        """The fitting samples of one process, in order."""
        seen = 0
        for rows, chunk in self._chunks():
            fit = chunk[self._part_of(rows) == PARTS.index("fit")]
            first = (rank - seen) % world
            seen += len(fit)
            if first < len(fit):
                yield self._rewritten(fit[first::world].astype(self._held_type), "fit")

    def _gather(self, schema: TableSchema) -> tuple[Gathered, ...]:
        """Find which values of columns of many categories to gather, in one pass over the samples to fit."""
        if not (places := many(schema)):
            return ()
        counts = [np.zeros(len(schema.columns[place].categories), dtype=np.int64) for place in places]
        for rows, chunk in self._chunks():
            found = count_values(chunk[self._part_of(rows) == PARTS.index("fit")], places, schema)
            counts = [before + more for before, more in zip(counts, found, strict=True)]
        return tuple(Gathered.of(j, schema.columns[j], found) for j, found in zip(places, counts, strict=True))

    def _rewritten(self, samples: Samples, part: Part) -> Samples:
        """Rewrite samples of a part, which must not be shared, in place for the final schema."""
        for each in self.gathered:
            each.rewrite(samples, fit=part == "fit")
        return samples

    def _chunks(self) -> Iterator[tuple[NDArray[np.int64], Samples]]:
        """All samples in order, as read from files, with their row numbers."""
        row = 0
        for dataset in self._datasets:
            for chunk in dataset.chunks(self._read_by):
                yield np.arange(row, row + len(chunk)), chunk
                row += len(chunk)

    def _counted(self) -> Iterator[NDArray[np.int64]]:
        """The numbers of all rows, in chunks."""
        for start in range(0, self.rows, COUNTED_ROWS):
            yield np.arange(start, min(start + COUNTED_ROWS, self.rows))

    def _part_of(self, rows: NDArray[np.int64]) -> NDArray[np.intp]:
        """The index in `PARTS` of each row.

        Copies of one row go to the same part: a flow knows held-out copies of fitted samples too well to calibrate it.
        """
        validation, calibration = self._fractions
        keys = self.contents.keys
        draw = uniform_hash(rows if keys is None else keys[rows], self._seed)
        return np.where(draw < validation, 1, np.where(draw < validation + calibration, 2, 0))


def uniform_hash(rows: NDArray[np.integer], seed: int) -> NDArray[np.float64]:
    """A number in ``[0, 1)`` for each row number, or hash of a row, that depends only on it and the seed."""
    v = rows.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    v += np.uint64(seed * 0xD1342543DE82EF95 % (1 << 64))
    v = (v ^ (v >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    v = (v ^ (v >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    v = v ^ (v >> np.uint64(31))
    return np.asarray((v >> np.uint64(11)) / float(1 << 53))


def one_schema(datasets: Sequence[Dataset]) -> Schema:
    """The schema that fits all data sets; tables have the categories of all of them.

    Raises:
        DataError: their schemas are incompatible.
    """
    tables = [dataset for dataset in datasets if isinstance(dataset, TableDataset)]
    if len(tables) == len(datasets):
        return tables[0].schema_with(tables[1:])
    schemas = [dataset.infer_schema() for dataset in datasets]
    first = schemas[0]
    for dataset, other in zip(datasets, schemas, strict=True):
        if other.kind != first.kind or other.shape != first.shape:
            raise DataError(
                f"holds a {other.describe()}, but {datasets[0].path} a {first.describe()}",
                where=str(dataset.path),
                remedy="train on data of one kind",
            )
    # Vectors count as integers only if they do in every file.
    return next((schema for schema in schemas if isinstance(schema, VectorSchema) and not schema.integer), first)


def require_variety(samples: Samples, where: str) -> None:
    """Refuse samples that are all equal; values that are missing everywhere count as equal.

    Raises:
        TrainingError: they are all equal.
    """
    same = (samples == samples[:1]) | (np.isnan(samples) & np.isnan(samples[:1]))
    if bool(same.all()):
        raise TrainingError("all samples are the same", where=where, remedy="there is nothing to learn from them")
