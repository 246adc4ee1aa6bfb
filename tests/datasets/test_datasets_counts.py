"""Counts: published ones, a manifest's, and sets that have others."""

import json
from pathlib import Path

import pytest

from passerby.datasets import counts, market1501
from passerby.errors import BadInput


def test_counts_of_a_set_are_by_key(market: Path) -> None:
    rows = market1501.read(market)
    found = counts.found(rows, counts.PUBLISHED["market1501"])
    assert found == {
        "train_images": 3,
        "train_people": 2,
        "query_images": 2,
        "query_people": 2,
        "gallery_images": 3,
        "junk_images": 1,
        "distractor_images": 1,
    }
    assert counts.found(rows, {"images": 0, "people": 0}) == {"images": 8, "people": 4}


def test_published_new_protocol_has_the_published_totals() -> None:
    images = {
        name: sum(must[f"{split}_images"] for split in ("train", "query", "gallery"))
        for name, must in counts.PUBLISHED.items()
        if name in ("cuhk03-np-detected", "cuhk03-np-labeled")
    }
    assert images == {"cuhk03-np-detected": 14_097, "cuhk03-np-labeled": 14_096}


def test_other_counts_are_listed_wanted_and_found(market: Path) -> None:
    rows = market1501.read(market)
    with pytest.raises(BadInput) as refused:
        counts.check(rows, {"train_images": 3, "query_images": 4}, "city", market)
    assert str(refused.value).splitlines()[0] == (
        f"city: {market} does not hold the set that its counts say"
    )
    assert "  query_images: 4 wanted, 2 found" in str(refused.value)
    assert "train_images" not in str(refused.value)


def test_an_unknown_name_of_counts_is_answered_with_the_nearest() -> None:
    with pytest.raises(BadInput, match=r"benchmarks\.x\.counts: .*did you mean 'market1501'"):
        counts.wanted("market1051", "x")


def manifest(path: Path, **changes: object) -> str:
    content = {"format": "passerby.world/1", "counts": {"city-cuhk01": {"images": 8}}, **changes}
    path.write_text(json.dumps(content))
    return str(path)


def test_a_manifest_gives_the_counts_of_its_sets(tmp_path: Path) -> None:
    path = manifest(tmp_path / "manifest.json")
    assert counts.wanted(path, "city-cuhk01") == {"images": 8}
    with pytest.raises(BadInput, match=r"no counts of 'city-cuhk03' \(did you mean 'city-cuhk01'"):
        counts.wanted(path, "city-cuhk03")


def test_a_manifest_of_another_version_is_refused(tmp_path: Path) -> None:
    path = manifest(tmp_path / "manifest.json", format="passerby.world/9")
    with pytest.raises(BadInput, match=r"'passerby\.world/9' found, 'passerby\.world/1' wanted"):
        counts.wanted(path, "city-cuhk01")


def test_a_missing_manifest_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"manifest\.json: no such file"):
        counts.wanted(str(tmp_path / "manifest.json"), "city-cuhk01")


def test_a_key_that_names_nothing_is_refused(market: Path) -> None:
    with pytest.raises(BadInput, match="'train_dogs' names nothing"):
        counts.found(market1501.read(market), {"train_dogs": 1})
