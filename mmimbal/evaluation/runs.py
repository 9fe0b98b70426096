"""Load the predictions of several runs."""

from pathlib import Path

from mmimbal.evaluation.predictions import SUFFIX, Predictions, load_predictions


def load_runs(names: list[str]) -> dict[str, Predictions]:
    """Load predictions, by name of the run.

    Args:
        names: As for :func:`files_of_runs`.

    Raises:
        FileNotFoundError: If a file does not exist, or a folder has not exactly one.
        ValueError: If two runs have the same name, or a file is damaged.
    """
    return {name: load_predictions(file) for name, file in files_of_runs(names).items()}


def files_of_runs(names: list[str]) -> dict[str, Path]:
    """Return files of predictions, by name of the run.

    Args:
        names: Files, or folders with one file, each ``PATH`` or ``NAME=PATH``.

    Raises:
        FileNotFoundError: If there is no such named file, or a folder has not exactly
            one.
        ValueError: If two runs have the same name.
    """
    runs = {}
    for text in names:
        named = '=' in text and not Path(text).exists()
        name, path = text.split('=', 1) if named else ('', text)
        file = Path(path)
        if file.is_dir():
            files = sorted(file.glob(f'*{SUFFIX}'))
            if len(files) != 1:
                found = ', '.join(each.name for each in files) or 'none'
                raise FileNotFoundError(
                    f'expected one {SUFFIX} file in {file}, found {found}. Write one '
                    f'with tools/test.py CONFIG CHECKPOINT --out {file}/test{SUFFIX}'
                )
            name, file = name or file.name, files[0]
        name = name or file.stem
        if name in runs:
            raise ValueError(
                f'two runs have the name {name}: give another one with NAME={path}'
            )
        if named and not file.exists():
            raise FileNotFoundError(
                f'no predictions at {text}, and none at {path}, as NAME=PATH'
            )
        runs[name] = file
    return runs
