"""Names in a store that somebody else made: none leads out of the folder of an export."""

import pytest
from crop_samples import make_source, rewritten

from passerby.crops import verbs
from passerby.crops.store import CropStore
from passerby.errors import BadInput

BAD = {
    "/abs/x": "holds a slash",
    "../../x": "holds a slash",
    "a\\b": "holds a slash or a backslash",
    "..": "names another folder",
    "..+..+x": "names another folder",
    "a+.+x": "names another folder",
    "a+b+..": "names another folder",
    "a++x": "is empty",
    "a+b+\x1b]0;x\x07": "holds a control character",
    "a+b+c\td\n": "holds a control character",
    "a+b+" + "x" * 300: "has 304 bytes where 200 are the most",
}


@pytest.mark.parametrize("name", BAD)
def test_a_store_whose_source_cannot_be_a_folder_is_refused(name, make_store):
    with pytest.raises(BadInput) as refusal:
        make_store(make_source(name, cameras=("c",)))
    assert f"the name of source 0 {BAD[name]}" in str(refusal.value)
    assert "get it anew, or 'dvc repro crop' makes it" in str(refusal.value)
    assert str(refusal.value).isprintable()


def test_a_store_whose_camera_has_no_plain_name_is_refused(make_store):
    make_store(make_source("de+bonn+a", cameras=("benchmark-market1501/c1",)))
    with pytest.raises(BadInput, match="the name of camera 0 holds a control character"):
        make_store(make_source("de+bonn+a", cameras=("c\t1\n",)))


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("sources", 5, "'sources': Input should be a valid list"),
        ("cameras", None, "'cameras': Input should be a valid list"),
        ("sources", ["de+bonn+a"], "'sources.0': Input should be a valid dict"),
        (
            "sources",
            [{"name": 7, "boxes": 0, "left_out": {}}],
            "'sources.0.name': Input should be a valid string",
        ),
        ("cameras", [7], "'cameras.0': Input should be a valid string"),
        ("cameras", ["a\ud800"], "'cameras.0': Input should be a valid string"),
    ],
)
def test_a_header_without_names_is_refused(key, value, said, make_store, tmp_path):
    make_store(make_source("de+bonn+a"), name="own.lmdb")
    foreign = tmp_path / "foreign.lmdb"
    foreign.write_bytes((tmp_path / "own.lmdb").read_bytes())
    with pytest.raises(BadInput, match=said):
        CropStore(rewritten(foreign, {key: value}))


@pytest.mark.parametrize("name", ["$HOME+~+%(id)s", "de+bonn+...", "de+bonn+x+y+..", "日本+b+c"])
def test_names_that_only_look_odd_are_exported_within_the_folder(name, make_store, tmp_path):
    path = make_store(make_source(name)).path
    verbs.export(path, tmp_path / "out" / "crops")
    new = [p for p in tmp_path.rglob("*") if p.is_file() and p != path]
    assert len(new) == 7
    assert all(p.resolve().is_relative_to(tmp_path / "out" / "crops") for p in new)
