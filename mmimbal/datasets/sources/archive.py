"""Safe unpacking of downloaded archives."""

import lzma
import re
import tarfile
import zipfile
import zlib
from pathlib import Path, PurePosixPath

ENCRYPTED, UTF8 = 0x1, 0x800  # flag bits of a member of a zip file
PYTHON_METHODS = {
    zipfile.ZIP_STORED,
    zipfile.ZIP_DEFLATED,
    zipfile.ZIP_BZIP2,
    zipfile.ZIP_LZMA,
    getattr(zipfile, 'ZIP_ZSTANDARD', zipfile.ZIP_STORED),  # since Python 3.14
}
METHODS = {9: 'Deflate64', 93: 'Zstandard', 98: 'PPMd'}
BROKEN = (tarfile.TarError, zipfile.BadZipFile, EOFError, zlib.error, lzma.LZMAError)
CHUNK = 2**20  # bytes
ANOTHER_PROGRAM = 'unpack it with another program, such as 7-Zip, and give the folder'
DRIVE = re.compile('[A-Za-z]:')
SYSTEM_FILES = {'__macosx', 'thumbs.db', 'desktop.ini', '@eadir'}


def unpack(archive: Path, target: Path, encoding: str | None = None) -> Path:
    """Unpack a zip or tar file.

    Args:
        archive: The file.
        target: An empty folder.
        encoding: Encoding of the names in a zip file that does not say it, such as
            ``'gbk'``; UTF-8 if ``None``.

    Returns:
        ``target``, or the folder in it if that is its only content.

    Raises:
        ValueError: If it is not an archive, is broken, encrypted or compressed by a
            method that Python lacks, has names in another encoding, or a member would
            be written outside of ``target``. Nothing is then written outside.
    """
    try:
        'x'.encode(encoding or 'utf-8')  # a codec such as hex is not for text
    except LookupError:
        raise ValueError(f'--zip-encoding: Python knows no {encoding}') from None
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as file:
                _unpack_zip(file, archive, target, encoding)
        elif tarfile.is_tarfile(archive):
            with tarfile.open(archive, encoding=encoding, errors='strict') as file:
                file.extractall(target, filter='data')
                # tarfile takes a damaged end for the end; the checksum is behind it.
                while file.fileobj.read(CHUNK):
                    pass
        else:
            hint = ': give the folder that holds it' if archive.suffix == '.csv' else ''
            raise ValueError(
                f'{archive} is neither a folder nor a zip or tar file{hint}'
            )
    except tarfile.FilterError as error:
        raise ValueError(f'{archive} is refused as unsafe: {error}') from None
    except UnicodeDecodeError:
        raise _unknown_encoding(archive, encoding, '') from None
    except NotImplementedError as error:
        raise ValueError(
            f'{archive} needs what Python cannot do ({error}): {ANOTHER_PROGRAM}'
        ) from None
    except (*BROKEN, OSError) as error:
        if isinstance(error, OSError) and error.errno:  # of the disk
            raise
        raise ValueError(f'{archive} is broken: download it again ({error})') from None
    content = [path for path in target.iterdir() if not is_system_file(path.name)]
    return content[0] if len(content) == 1 and content[0].is_dir() else target


def is_system_file(name: str) -> bool:
    """Return whether a name is hidden, or made by macOS or Windows."""
    return name.startswith('.') or name.lower() in SYSTEM_FILES


def _unpack_zip(
    file: zipfile.ZipFile, archive: Path, target: Path, encoding: str | None
) -> None:
    members = file.infolist()
    if any(member.flag_bits & ENCRYPTED for member in members):
        raise ValueError(
            f'{archive} is encrypted: unpack it yourself, with its password'
        )
    unknown = sorted({member.compress_type for member in members} - PYTHON_METHODS)
    if unknown:
        methods = ' and '.join(METHODS.get(n, f'method {n}') for n in unknown)
        raise ValueError(
            f'{archive} is compressed with {methods}, which Python cannot unpack: '
            f'{ANOTHER_PROGRAM}'
        )
    has_slash = any('/' in member.filename for member in members)
    for member in members:
        member.filename = _name_of(member, archive, encoding)
        _refuse_outside(member.filename, archive)
        if not has_slash:  # written by a program that does not know the format
            member.filename = member.filename.replace('\\', '/')
        if PurePosixPath(member.filename).parts:  # a name may be './'
            file.extract(member, target)


def _name_of(member: zipfile.ZipInfo, archive: Path, encoding: str | None) -> str:
    """Return the name of a member; Python reads unmarked names as code page 437."""
    if member.flag_bits & UTF8 or member.filename.isascii():
        return member.filename
    try:
        return member.filename.encode('cp437').decode(encoding or 'utf-8')
    except UnicodeError:
        example = f', such as {member.filename!r}'
        raise _unknown_encoding(archive, encoding, example) from None


def _unknown_encoding(archive: Path, encoding: str | None, example: str) -> ValueError:
    return ValueError(
        f'{archive} has names that are not in {encoding or "UTF-8"}{example}: give '
        'their encoding, such as --zip-encoding gbk'
    )


def _refuse_outside(name: str, archive: Path) -> None:
    path = PurePosixPath(name.replace('\\', '/'))
    if path.is_absolute() or '..' in path.parts or DRIVE.match(name):
        raise ValueError(f'{archive} is refused as unsafe: {name!r} leaves its folder')
