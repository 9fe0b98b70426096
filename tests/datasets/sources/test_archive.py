import io
import tarfile
import zipfile

import numpy as np
import pytest

from mmimbal.datasets.sources.archive import unpack


def make_zip(path, names):
    with zipfile.ZipFile(path, 'w') as file:
        for name in names:
            file.writestr(name, 'content')


def make_tar(path, names, link=None):
    with tarfile.open(path, 'w:gz') as file:
        for name in names:
            member = tarfile.TarInfo(name)
            member.size = 7
            file.addfile(member, io.BytesIO(b'content'))
        if link:
            member = tarfile.TarInfo('set/link')
            member.type, member.linkname = tarfile.SYMTYPE, link
            file.addfile(member)


@pytest.mark.parametrize('make', [make_zip, make_tar])
def test_the_only_folder_is_entered(tmp_path, make):
    make(tmp_path / 'x', ['set/a/1.png', 'set/b/2.png'])
    found = unpack(tmp_path / 'x', tmp_path / 'out')
    assert found == tmp_path / 'out/set'
    assert (found / 'b/2.png').read_text() == 'content'


@pytest.mark.parametrize('make', [make_zip, make_tar])
def test_what_systems_leave_behind_is_no_folder(tmp_path, make):
    make(tmp_path / 'x', ['set/a/1.png', '__MACOSX/set/a/._1.png', '.DS_Store'])
    assert unpack(tmp_path / 'x', tmp_path / 'out') == tmp_path / 'out/set'


@pytest.mark.parametrize('name', ['../outside', 'a/../../outside'])
@pytest.mark.parametrize('make', [make_zip, make_tar])
def test_members_that_leave_the_folder_are_refused(tmp_path, make, name):
    make(tmp_path / 'x', ['fine', name])
    with pytest.raises(ValueError, match='is refused'):
        unpack(tmp_path / 'x', tmp_path / 'out')
    assert not list(tmp_path.rglob('outside'))


@pytest.mark.parametrize('name', ['/tmp/outside', 'C:/outside', 'a\\..\\..\\outside'])
def test_absolute_members_of_a_zip_are_refused(tmp_path, name):
    make_zip(tmp_path / 'x', ['fine', name])
    with pytest.raises(ValueError, match='is refused'):
        unpack(tmp_path / 'x', tmp_path / 'out')


def test_absolute_members_of_a_tar_stay_inside(tmp_path):
    make_tar(tmp_path / 'x', ['/tmp/mmimbal_outside', 'fine'])
    found = unpack(tmp_path / 'x', tmp_path / 'out')
    assert (found / 'tmp/mmimbal_outside').is_file()


@pytest.mark.parametrize('link', ['/etc/passwd', '../../outside'])
def test_links_that_leave_the_folder_are_refused(tmp_path, link):
    make_tar(tmp_path / 'x', [], link)
    with pytest.raises(ValueError, match='is refused'):
        unpack(tmp_path / 'x', tmp_path / 'out')


def test_what_is_no_archive_or_cut(tmp_path):
    (tmp_path / 'x').write_text('no archive')
    with pytest.raises(ValueError, match='neither a folder nor a zip or tar file'):
        unpack(tmp_path / 'x', tmp_path / 'out')
    make_tar(tmp_path / 'cut.tgz', [f'{n}' for n in range(999)])
    whole = (tmp_path / 'cut.tgz').read_bytes()
    (tmp_path / 'cut.tgz').write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match='is broken'):
        unpack(tmp_path / 'cut.tgz', tmp_path / 'out')


def rewrite(path, old, new):
    """Replace bytes of both headers of a zip file."""
    content = path.read_bytes()
    assert content.count(old) == 2
    path.write_bytes(content.replace(old, new))


@pytest.mark.parametrize(('encoding', 'flag'), [('gbk', 'gbk'), ('utf-8', None)])
def test_names_that_do_not_say_their_encoding(tmp_path, encoding, flag):
    """As Windows writes them in China, and some programs in UTF-8."""
    archive = tmp_path / 'x.zip'
    name = '黑色素瘤'.encode(encoding)
    make_zip(archive, [f'{"n" * len(name)}/1.png'])
    rewrite(archive, b'n' * len(name), name)
    found = unpack(archive, tmp_path / 'out', flag)
    assert found.name == '黑色素瘤' and (found / '1.png').read_text() == 'content'


def test_another_encoding_is_asked_for(tmp_path):
    archive = tmp_path / 'x.zip'
    name = '黑色素瘤'.encode('gbk')
    make_zip(archive, [f'{"n" * len(name)}/1.png'])
    rewrite(archive, b'n' * len(name), name)
    with pytest.raises(ValueError, match='--zip-encoding gbk'):
        unpack(archive, tmp_path / 'out')
    with pytest.raises(ValueError, match='Python knows no gbkk'):
        unpack(archive, tmp_path / 'out2', 'gbkk')


def test_names_of_a_tar_in_another_encoding(tmp_path):
    old = dict(encoding='gbk', format=tarfile.GNU_FORMAT)
    with tarfile.open(tmp_path / 'x', 'w', **old) as file:
        for name in ('set/病/1.png', 'set/b/2.png'):
            member = tarfile.TarInfo(name)
            file.addfile(member, io.BytesIO())
    with pytest.raises(ValueError, match=r'not in UTF-8: .*--zip-encoding gbk'):
        unpack(tmp_path / 'x', tmp_path / 'out')
    unpack(tmp_path / 'x', tmp_path / 'again', 'gbk')
    assert (tmp_path / 'again/set/病/1.png').is_file()


@pytest.mark.parametrize('kind', ['gz', 'xz', 'bz2'])
@pytest.mark.parametrize('place', [0.5, 0.97])
def test_a_damaged_tar_is_refused(tmp_path, kind, place):
    random = np.random.default_rng(0)
    with tarfile.open(tmp_path / 'x', f'w:{kind}') as file:
        for name in ('set/a/1.png', 'set/b/2.png'):
            member = tarfile.TarInfo(name)
            member.size = 2**21
            file.addfile(member, io.BytesIO(random.bytes(2**21)))
    content = bytearray((tmp_path / 'x').read_bytes())
    start = int(place * len(content))
    for offset in range(start, start + 20):
        content[offset] ^= 0xFF
    (tmp_path / 'x').write_bytes(content)
    with pytest.raises(ValueError, match='is broken: download it again'):
        unpack(tmp_path / 'x', tmp_path / 'out')


def test_a_zip_with_backslashes_or_a_dot(tmp_path):
    with zipfile.ZipFile(tmp_path / 'x', 'w') as file:
        for name in ('a\\1.png', 'b\\2.png'):
            info = zipfile.ZipInfo('new')
            info.filename = name  # as programs write it that ignore the format
            file.writestr(info, 'content')
    found = unpack(tmp_path / 'x', tmp_path / 'out')
    assert (found / 'a/1.png').read_text() == 'content'
    make_zip(tmp_path / 'y', ['./', './a/1.png', './b/2.png'])
    found = unpack(tmp_path / 'y', tmp_path / 'dot')
    assert (found / 'b/2.png').is_file()


def test_names_in_utf8_that_say_so(tmp_path):
    make_zip(tmp_path / 'x', ['été/1.png', 'b/2.png'])
    assert (unpack(tmp_path / 'x', tmp_path / 'out', 'gbk') / 'été/1.png').is_file()


@pytest.mark.parametrize(
    ('method', 'name'), [(9, 'Deflate64'), (98, 'PPMd'), (77, 'method 77')]
)
def test_a_method_that_python_lacks_is_named(tmp_path, method, name):
    archive = tmp_path / 'x.zip'
    make_zip(archive, ['a.png'])
    content = bytearray(archive.read_bytes())
    for signature, place in ((b'PK\x03\x04', 8), (b'PK\x01\x02', 10)):
        content[content.index(signature) + place] = method
    archive.write_bytes(content)
    with pytest.raises(ValueError, match=f'compressed with {name}.*7-Zip'):
        unpack(archive, tmp_path / 'out')
    assert not (tmp_path / 'out').exists()


def test_an_encrypted_archive_is_refused(tmp_path):
    archive = tmp_path / 'x.zip'
    make_zip(archive, ['a.png'])
    content = bytearray(archive.read_bytes())
    for signature, place in ((b'PK\x03\x04', 6), (b'PK\x01\x02', 8)):
        content[content.index(signature) + place] |= 1
    archive.write_bytes(content)
    with pytest.raises(ValueError, match='is encrypted: unpack it yourself'):
        unpack(archive, tmp_path / 'out')


@pytest.mark.parametrize('encoding', ['hex', 'base64', 'nonsense'])
def test_an_encoding_that_is_none(tmp_path, encoding):
    make_zip(tmp_path / 'x', ['\u00e9.png'])
    with pytest.raises(ValueError, match=f'Python knows no {encoding}'):
        unpack(tmp_path / 'x', tmp_path / 'out', encoding)


def test_what_python_cannot_unpack_needs_another_program(tmp_path):
    make_zip(tmp_path / 'x', ['a/1.png'])
    content = (tmp_path / 'x').read_bytes()
    place = content.index(b'PK\x01\x02') + 6  # the version that is needed
    (tmp_path / 'x').write_bytes(content[:place] + b'\x63' + content[place + 1 :])
    with pytest.raises(ValueError, match=r'version 9\.9\): unpack it with another'):
        unpack(tmp_path / 'x', tmp_path / 'out')


def test_a_colon_is_no_drive(tmp_path):
    make_zip(tmp_path / 'x', ['HP:1/a.png', 'HP:2/b.png'])
    found = unpack(tmp_path / 'x', tmp_path / 'out')
    assert sorted(path.name for path in found.iterdir()) == ['HP:1', 'HP:2']
