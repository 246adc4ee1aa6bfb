import cv2
import pytest
from crop_samples import make_source

from passerby.crops import verbs
from passerby.errors import BadInput


@pytest.fixture
def path(make_store):
    images = make_source("benchmark-market", count=2, kind="images", boxes=2, left_out={})
    return make_store(images, make_source("de+bonn+a"), make_source("de+bonn+b", count=0)).path


def test_info_is_a_table_of_what_the_store_holds(path):
    size_mb = path.stat().st_size / 1e6
    assert verbs.info(path).splitlines() == [
        f"{path}: passerby.crops/3, {size_mb:,.1f} MB",
        "           8 crops of 12 boxes",
        "           4 tracks; 1 crops without one",
        "           3 cameras, 3 sources",
        "           4 left out: small",
        "",
        "       crops        boxes  source",
        "           6            8  de+bonn+a  (left out: small 2)",
        "           2            2  benchmark-market",
        "           0            2  de+bonn+b  (left out: small 2)",
    ]


def test_info_shows_the_largest_sources_and_counts_the_others(make_store):
    sources = [make_source(f"de+bonn+{n:02}", count=n % 3) for n in range(24)]
    lines = verbs.info(make_store(*sources).path).splitlines()
    assert lines[-1] == "                           and 4 smaller ones"
    assert len(lines) == 7 + 20 + 1


def test_info_shows_reasons_of_a_foreign_store_in_printable_characters(make_store):
    source = make_source("de+bonn+a", left_out={"small\x1b[31m\n": 2, "\u202ec": 0})
    said = verbs.info(make_store(source).path)
    assert all(line.isprintable() for line in said.splitlines())
    shown = "(left out: small\\x1b[31m\\n 2, \\u202ec 0)"
    assert said.splitlines()[-1] == f"           6            8  de+bonn+a  {shown}"


def test_show_draws_tracks_or_one_track(path, tmp_path):
    assert verbs.show(path, tmp_path / "all.jpg", count=32) == f"{tmp_path}/all.jpg: 7 of 8 crops"
    assert verbs.show(path, tmp_path / "one.jpg", track=3) == f"{tmp_path}/one.jpg: 2 of 8 crops"
    assert cv2.imread(str(tmp_path / "one.jpg")).shape == (130, 132, 3)
    with pytest.raises(BadInput, match="no track 4; it has tracks 0 to 3"):
        verbs.show(path, tmp_path / "none.jpg", track=4)
    with pytest.raises(BadInput, match="no track -1"):
        verbs.show(path, tmp_path / "none.jpg", track=-1)


def test_show_does_not_draw_over_the_store(path, tmp_path):
    before = path.read_bytes()
    (tmp_path / "out.jpg").symlink_to(path)
    for out in (path, tmp_path / "out.jpg"):
        with pytest.raises(BadInput, match="it is read for that and would be lost"):
            verbs.show(path, out)
    assert path.read_bytes() == before


def test_verify_says_what_was_checked(path):
    wanted = f"{path}: 8 crops decode to their stated sizes; all checksums and counts agree"
    assert verbs.verify(path) == wanted


def test_neither_verify_nor_export_passes_a_damaged_crop(path, tmp_path):
    content = bytearray(path.read_bytes())
    jpeg = make_source("de+bonn+a").jpegs[3]
    content[content.index(jpeg) + len(jpeg) // 2] ^= 4
    damaged = tmp_path / "damaged.lmdb"
    damaged.write_bytes(content)
    said = r"crop 5 \(de\+bonn\+a/1/1\) is damaged; cut it again"
    with pytest.raises(BadInput, match=f"1 faults: .*{said}"):
        verbs.verify(damaged)
    with pytest.raises(BadInput, match=said):
        verbs.export(damaged, tmp_path / "out")


def test_export_lays_crops_out_by_country_city_and_video(path, tmp_path):
    folder = tmp_path / "out"
    assert verbs.export(path, folder) == f"{folder}: 8 crops, described in crops.tsv"
    names = sorted(str(p.relative_to(folder)) for p in folder.rglob("*.jpg"))
    assert names == [
        "benchmark-market/00000000_0000.jpg",
        "benchmark-market/00000000_0001.jpg",
        *(f"de/bonn/a/{n // 2:08d}_{n % 2:04d}.jpg" for n in range(6)),
    ]
    jpegs = make_source("de+bonn+a").jpegs
    assert (folder / "de/bonn/a/00000001_0001.jpg").read_bytes() == jpegs[3]
    lines = (folder / "crops.tsv").read_text().splitlines()
    assert lines[0].split("\t")[:4] == ["path", "crop", "track", "camera"]
    row = "de/bonn/a/00000001_0001.jpg de+bonn+a/1/1 2 de+bonn+a 3 4 24.5 44"
    assert lines[6].split("\t") == row.split()


@pytest.mark.parametrize("names", [("a+b", "a+b+00000000_0000.jpg"), ("crops.tsv",)])
def test_export_refuses_names_that_take_each_others_place(names, make_store, tmp_path):
    store = make_store(*(make_source(name) for name in names))
    with pytest.raises(BadInput, match="two sources or crops of the store would have this name"):
        verbs.export(store.path, tmp_path / "out")


def test_export_writes_no_crop_over_another(make_store, tmp_path):
    columns = make_source("de+bonn+a").columns
    twice = columns | {"frame": columns["frame"] * 0, "index": columns["index"] * 0}
    store = make_store(make_source("de+bonn+a", columns=twice))
    with pytest.raises(BadInput, match=r"00000000_0000.jpg: two sources or crops"):
        verbs.export(store.path, tmp_path / "out")


def test_export_stays_in_its_folder_whatever_a_crop_is_called(path, tmp_path, monkeypatch):
    monkeypatch.setattr(verbs, "file_name", lambda store, i: f"../../{i}.jpg")
    with pytest.raises(BadInput, match=r"outside .*, so not written; get the store anew"):
        verbs.export(path, tmp_path / "a" / "out")
    assert not list(tmp_path.rglob("*.jpg"))


def test_export_refuses_a_folder_with_files_in_it(path, tmp_path):
    with pytest.raises(BadInput, match="not empty; name a new folder"):
        verbs.export(path, tmp_path)


def test_a_full_disk_is_named_with_the_crop_that_it_did_not_take(path, disk_of):
    disk = disk_of("8k")
    with pytest.raises(BadInput, match=rf"{disk}/out/.*\.jpg: the disk is full"):
        verbs.export(path, disk / "out")


def test_a_folder_that_no_file_system_makes_is_named(path):
    with pytest.raises(BadInput, match="/proc/1/x/out: could not be written"):
        verbs.export(path, "/proc/1/x/out")


def test_a_store_below_a_name_that_is_no_utf8_is_read(path, tmp_path):
    folder = tmp_path / "gr\udcf6sse"
    folder.mkdir()
    (folder / "crops.lmdb").write_bytes(path.read_bytes())
    assert verbs.info(folder / "crops.lmdb").count("\n") == verbs.info(path).count("\n")
    assert verbs.show(folder / "crops.lmdb", tmp_path / "shown.jpg").endswith("7 of 8 crops")
