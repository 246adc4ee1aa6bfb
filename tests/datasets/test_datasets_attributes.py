"""Attributes from both official files, and files that are not those."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io

from passerby.datasets import attributes
from passerby.errors import BadInput

COLUMNS = [column for column, _ in attributes.PLAIN.values()] + [
    start + colour for start, colours in attributes.COLOURS.values() for colour in colours
]


def person(**changes: int) -> dict[str, int]:
    return {**dict.fromkeys(COLUMNS, 1), **changes}


PEOPLE = {
    7: person(age=4, gender=2, upred=2, downbrown=2),
    2: person(up=2, clothes=2, upblack=2),
    11: person(hat=2, downyellow=2, upyellow=2),
}


def as_csv(path: Path, people: dict[int, dict[str, Any]]) -> Path:
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, ["id", *COLUMNS])
        writer.writeheader()
        writer.writerows({"id": number, **values} for number, values in people.items())
    return path


def as_mat(path: Path, **parts: dict[int, dict[str, int]]) -> Path:
    structure = {
        part: {
            **{column: [values[column] for values in people.values()] for column in COLUMNS},
            "image_index": np.array([f"{number:04}" for number in people], object),
        }
        for part, people in parts.items()
    }
    scipy.io.savemat(path, {"market_attribute": structure})
    return path


def test_there_are_twelve_in_the_reports_order() -> None:
    assert list(attributes.CLASSES) == [
        "gender", "hair", "sleeve", "lower_length", "lower_type", "hat", "backpack", "bag",
        "handbag", "age", "upper_colour", "lower_colour",
    ]  # fmt: skip
    assert [len(classes) for classes in attributes.CLASSES.values()] == [2] * 9 + [4, 9, 10]


def meaning(values: np.ndarray) -> dict[str, str]:
    return {
        name: classes[value]
        for (name, classes), value in zip(attributes.CLASSES.items(), values, strict=True)
    }


def test_values_have_their_official_meanings(tmp_path: Path) -> None:
    found = attributes.read(as_csv(tmp_path / "a.csv", PEOPLE))
    assert found.people.tolist() == [2, 7, 11]
    assert meaning(found.of([7])[0]) == {
        "gender": "female", "hair": "short", "sleeve": "long", "lower_length": "long",
        "lower_type": "dress", "hat": "no", "backpack": "no", "bag": "no", "handbag": "no",
        "age": "old", "upper_colour": "red", "lower_colour": "brown",
    }  # fmt: skip
    two = meaning(found.of([2])[0])
    assert (two["sleeve"], two["lower_type"]) == ("short", "pants")
    assert (two["upper_colour"], two["lower_colour"]) == ("black", "other")
    assert meaning(found.of([11])[0])["hat"] == "yes"


def test_both_files_say_the_same(tmp_path: Path) -> None:
    of_csv = attributes.read(as_csv(tmp_path / "a.csv", PEOPLE))
    train, test = {n: PEOPLE[n] for n in (7, 2)}, {11: PEOPLE[11]}
    of_mat = attributes.read(as_mat(tmp_path / "a.mat", train=train, test=test))
    assert of_mat.people.tolist() == of_csv.people.tolist()
    assert of_mat.values.tolist() == of_csv.values.tolist()


def test_rows_come_in_the_order_asked_for(tmp_path: Path) -> None:
    found = attributes.read(as_csv(tmp_path / "a.csv", PEOPLE))
    assert found.of(np.array([11, 2, 11])).tolist() == found.values[[2, 0, 2]].tolist()


def test_people_who_are_not_described_are_named(tmp_path: Path) -> None:
    found = attributes.read(as_csv(tmp_path / "a.csv", PEOPLE))
    with pytest.raises(BadInput, match=r"a\.csv: no attributes of 2 people: 8, 9; is this the"):
        found.of([2, 9, 8, 9])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (person(age=5), "person 3: 'age' is 5, 1 to 4 wanted"),
        (person(hat=0), "person 3: 'hat' is 0, 1 to 2 wanted"),
        (person(upred=2, upblue=2), "person 3 has upblue, upred at once, one colour wanted"),
        ({**person(), "bag": "yes"}, "column 'bag' holds yes; whole numbers from 0 wanted"),
    ],
)
def test_values_that_cannot_be_are_named(
    tmp_path: Path, values: dict[str, Any], message: str
) -> None:
    with pytest.raises(BadInput, match=message):
        attributes.read(as_csv(tmp_path / "a.csv", {2: person(), 3: values}))


def test_a_person_described_twice_is_named(tmp_path: Path) -> None:
    path = as_mat(tmp_path / "a.mat", train=PEOPLE, test={7: person()})
    with pytest.raises(BadInput, match="people described twice: 7"):
        attributes.read(path)


def test_a_lacking_column_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,age,hair\n1,2,1\n")
    with pytest.raises(
        BadInput, match="no column gender, up, down, clothes, hat and 20 more; found"
    ):
        attributes.read(tmp_path / "a.csv")


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.mat", b"no matlab file at all", r"a\.mat: not a MATLAB file of version 5"),
        ("a.csv", b"", r"a\.csv: a CSV with a column 'id', no column twice, and rows"),
    ],
)
def test_another_file_is_refused(tmp_path: Path, name: str, data: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(BadInput, match=message):
        attributes.read(tmp_path / name)


def test_a_cut_matlab_file_is_refused(tmp_path: Path) -> None:
    path = as_mat(tmp_path / "a.mat", train=PEOPLE)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(BadInput, match=r"a\.mat: not a MATLAB file of version 5 to 7"):
        attributes.read(path)


def test_another_matlab_file_is_refused(tmp_path: Path) -> None:
    scipy.io.savemat(tmp_path / "a.mat", {"gallery": np.zeros(3)})
    with pytest.raises(
        BadInput, match="'market_attribute' with 'train' and 'test' wanted, found gal"
    ):
        attributes.read(tmp_path / "a.mat")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        BadInput, match=r"a\.mat: no such file; an attribute file was wanted: correct 'annotations'"
    ):
        attributes.read(tmp_path / "a.mat")
