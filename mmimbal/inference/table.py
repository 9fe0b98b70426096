"""A CSV file of predictions, written image by image, that goes on after a stop."""

import csv
import io
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, zip_longest
from pathlib import Path

from mmengine.dist import barrier

from mmimbal.files.atomic import atomic_write, check_can_be_file
from mmimbal.files.json_file import read_json, write_json


class PredictionTable:
    """Rows of one process, beside the file that they will be in.

    Rows are in ``FILE.partRANK`` until all processes have finished. A part that was
    left by an earlier run of the same command is continued.

    Args:
        file: The CSV file.
        header: Names of its columns.
        settings: What its content depends on.
        rank: Number of this process.
        world_size: Number of processes.

    Raises:
        IsADirectoryError: If the file is a folder.
        ValueError: If an earlier run had other settings.
    """

    def __init__(
        self,
        file: Path,
        header: Sequence[str],
        settings: Mapping[str, object],
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        check_can_be_file(file)
        self.file = file
        self.header = list(header)
        self.parts = [
            file.with_name(f'{file.name}.part{number}') for number in range(world_size)
        ]
        self.part = self.parts[rank]
        self.about = file.with_name(f'{file.name}.settings.json')
        settings = dict(settings, processes=world_size)
        if any(part.is_file() for part in self.parts):
            self._check(settings)
        barrier()  # nobody writes a part before all have looked
        if rank == 0:
            file.parent.mkdir(parents=True, exist_ok=True)
            write_json(settings, self.about)

    def _check(self, settings: dict) -> None:
        if not self.about.is_file():
            raise ValueError(
                f'{self.about} is missing: remove {self.file}.part*, and start again'
            )
        before, settings = read_json(self.about), json.loads(json.dumps(settings))
        changed = [
            key
            for key in settings.keys() | before.keys()
            if settings.get(key) != before.get(key)
        ]
        if changed:
            raise ValueError(
                f'{self.file}.part* are of a run with other '
                f'{", ".join(sorted(changed))}: remove them, or use the same command '
                'to go on'
            )

    def number_done(self) -> int:
        """Return the number of rows of this process; half a row is removed."""
        if not self.part.is_file():
            return 0
        with open(self.part, 'rb+') as opened:
            content = opened.read()
            complete = content.rfind(b'\n') + 1
            opened.truncate(complete)
        text = content[:complete].decode('utf-8')
        return sum(1 for _ in csv.reader(io.StringIO(text)))

    def append(self, rows: Sequence[Sequence[object]]) -> None:
        """Write rows, and wait until the system has them."""
        with open(self.part, 'a', newline='', encoding='utf-8') as opened:
            csv.writer(opened, lineterminator='\n').writerows(rows)
            opened.flush()
            os.fsync(opened.fileno())

    def finish(self) -> int:
        """Join the rows of all processes, one of each in turn, in the file.

        Returns:
            Number of rows whose last cell is not empty.
        """
        filled = 0
        with (
            atomic_write(self.file) as unfinished,
            open(unfinished, 'w', newline='', encoding='utf-8') as opened,
        ):
            writer = csv.writer(opened, lineterminator='\n')
            writer.writerow(self.header)
            missing = object()
            rows = zip_longest(*map(_rows_of, self.parts), fillvalue=missing)
            for row in chain.from_iterable(rows):
                if row is not missing:
                    writer.writerow(row)
                    filled += bool(row[-1])
        for leftover in (*self.parts, self.about):
            leftover.unlink(missing_ok=True)
        return filled


def _rows_of(part: Path) -> Iterator[list[str]]:
    if part.is_file():
        with open(part, newline='', encoding='utf-8') as opened:
            yield from csv.reader(opened)
