"""Tables of pictures: what a line says, and every fault with its line."""

from pathlib import Path

import pytest

from passerby.datasets import index, table
from passerby.datasets.rows import Row
from passerby.errors import BadInput
from passerby.settings import BenchmarkSource

HEADER = "path,person,split,camera,sequence,frame"


@pytest.fixture
def pictures(lay, tmp_path: Path) -> Path:
    lay("exp-7_c2", ["a.jpg", "b.jpg", "c.png", "not named.jpg"])
    return tmp_path


def write(root: Path, *lines: str, name: str = "labels.csv") -> Path:
    (root / name).write_text("\n".join(lines) + "\n")
    return root


def test_a_line_says_everything_of_a_picture(pictures: Path) -> None:
    root = write(
        pictures,
        HEADER,
        'exp-7_c2/a.jpg,"Li, Bo",train,2,1,0',
        "",
        "./exp-7_c2/b.jpg,anna,query,,,",
        "exp-7_c2/c.png,anna,gallery,10,,77",
    )
    assert table.read(root) == [
        Row("train", "exp-7_c2/a.jpg", 1, 2, 1, 0),
        Row("query", "exp-7_c2/b.jpg", 2, 0, 0, -1),
        Row("gallery", "exp-7_c2/c.png", 2, 10, 0, 77),
    ]


def test_columns_may_be_left_out_and_come_in_any_order(pictures: Path) -> None:
    root = write(
        pictures, "split\tperson\tpath", "train\tanna, b\texp-7_c2/a.jpg", name="labels.tsv"
    )
    assert table.read(root) == [Row("train", "exp-7_c2/a.jpg", 1, 0)]


def test_a_spreadsheets_mark_before_the_header_does_not_matter(pictures: Path) -> None:
    text = "path,person,split\r\nexp-7_c2/a.jpg,Zoë,train\r\n"
    (pictures / "labels.csv").write_bytes(text.encode("utf-8-sig"))
    assert len(table.read(pictures)) == 1
    (pictures / "labels.csv").write_bytes(text.encode("latin-1"))
    with pytest.raises(BadInput, match=r"labels\.csv, line 2: not text in UTF-8; save it as UTF-8"):
        table.read(pictures)


def test_a_picture_may_be_a_query_and_in_the_gallery(pictures: Path) -> None:
    lines = [f"exp-7_c2/a.jpg,anna,{split}" for split in ("query", "gallery")]
    lines += [f"exp-7_c2/b.jpg,anna,{split}" for split in ("query", "gallery")]
    write(pictures, "path,person,split", *lines)
    mine = index.build("mine", BenchmarkSource(kind="csv", root=str(pictures)))
    assert mine.split("query").views.tolist() == mine.split("gallery").views.tolist()
    assert mine.kind == "csv"


def faults_of(root: Path) -> str:
    with pytest.raises(BadInput) as refused:
        table.read(root)
    return str(refused.value)


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("exp-7_c2/x.jpg,anna,train,1,1,1", "line 3: no file 'exp-7_c2/x.jpg'"),
        ("../a.jpg,anna,train,1,1,1", "line 3: path '../a.jpg' is not one below the table's"),
        ("/a.jpg,anna,train,1,1,1", "line 3: path '/a.jpg' is not one below the table's"),
        (",anna,train,1,1,1", "line 3: path '' is not one below the table's folder"),
        ("exp-7_c2/b.jpg, ,train,1,1,1", "line 3: no person"),
        ("exp-7_c2/b.jpg,anna,test,1,1,1", "line 3: split 'test' is none of train query gallery"),
        ("exp-7_c2/b.jpg,anna,train,0,1,1", "line 3: camera '0' is no number from 1 (leave it"),
        ("exp-7_c2/b.jpg,anna,train,1,-1,1", "line 3: sequence '-1' is no number from 1"),
        ("exp-7_c2/b.jpg,anna,train,1,1,1.5", "line 3: frame '1.5' is no number from 0"),
        ("exp-7_c2/b.jpg,anna,train,1,1,99999999999", "line 3: frame '99999999999' is no number"),
        (f"exp-7_c2/b.jpg,anna,train,{'9' * 5000},1,1", "line 3: camera '" + "9" * 40 + "' is no"),
        (f"{'x' * 256}.jpg,anna,train,1,1,1", f"line 3: no file '{'x' * 256}.jpg'"),
        ("exp-7_c2/b.jpg,anna,train", "line 3: 3 cells too few"),
        ("exp-7_c2/b.jpg,Li, Bo,train,1,1,1", "line 3: 1 cells too many"),
        ("exp-7_c2/a.jpg,anna,train,1,1,1", "line 3: 'exp-7_c2/a.jpg' is in train again"),
        ("exp-7_c2/a.jpg,bo,query,1,1,1", "line 3: 'exp-7_c2/a.jpg' is of 'bo' and of 'anna'"),
    ],
)
def test_a_bad_line_is_named(pictures: Path, line: str, fault: str) -> None:
    root = write(pictures, HEADER, "exp-7_c2/a.jpg,anna,train,1,1,1", line)
    assert f"labels.csv: 1 faults: {fault}" in faults_of(root)


def test_all_faults_are_said_at_once_and_a_few_are_listed(pictures: Path) -> None:
    bad = ["exp-7_c2/a.jpg,,none,x", *(f"{n}.jpg,anna,train," for n in range(4))]
    told = faults_of(write(pictures, "path,person,split,camera", *bad))
    assert told == (
        f"{pictures}/labels.csv: 7 faults: line 2: no person, line 2: split 'none' is none of "
        "train query gallery, line 2: camera 'x' is no number from 1 (leave it empty if not "
        "known), line 3: no file '0.jpg', line 4: no file '1.jpg' and 2 more; "
        "correct them: no line is passed over"
    )


@pytest.mark.parametrize(
    ("header", "fault"),
    [
        ("path;person;split", "no column 'path', no column 'person', no column 'split', unknown"),
        ("path,person,split,camra", "unknown 'camra' (did you mean 'camera'?); wanted path,"),
        ("path,person,split,path", "line 1: 'path' twice; wanted"),
        ("", "no column 'path', no column 'person', no column 'split'; wanted path, person, split"),
    ],
)
def test_a_header_that_says_something_else_is_refused(
    pictures: Path, header: str, fault: str
) -> None:
    assert fault in faults_of(write(pictures, header))


def test_a_header_alone_is_no_set(pictures: Path) -> None:
    assert "no line but the header" in faults_of(write(pictures, HEADER))


def test_an_open_quote_is_named_by_its_line(pictures: Path) -> None:
    told = faults_of(write(pictures, "path,person,split", 'exp-7_c2/a.jpg,"anna,train'))
    assert "labels.csv, line 2: unexpected end of data; is a quote open?" in told


@pytest.mark.parametrize(("names", "found"), [((), "none"), (("labels.csv", "labels.tsv"), "both")])
def test_one_table_is_wanted(tmp_path: Path, names: tuple[str, ...], found: str) -> None:
    for name in names:
        (tmp_path / name).write_text(HEADER)
    with pytest.raises(BadInput, match=rf"labels\.csv or labels\.tsv wanted, {found} found"):
        table.read(tmp_path)


def test_a_person_in_both_parts_is_refused(pictures: Path) -> None:
    write(pictures, "path,person,split", "exp-7_c2/a.jpg,anna,train", "exp-7_c2/b.jpg,anna,gallery")
    with pytest.raises(BadInput, match=r"test part: 1; .* exp-7_c2/a\.jpg and exp-7_c2/b\.jpg"):
        index.build("mine", BenchmarkSource(kind="csv", root=str(pictures)))
