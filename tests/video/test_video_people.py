import numpy as np
import pytest

from passerby.errors import BadInput
from passerby.video import people


def test_people_of_tracks_come_back_as_written(tmp_path):
    rows = [("a+b+1", 0, 17), ("a+b+1", 4, 3), ("a+b+2", 0, 3)]
    (tmp_path / "people.tsv").write_text(people.text(rows))
    found = people.read(tmp_path / "people.tsv")
    assert found == {"a+b+1": {0: 17, 4: 3}, "a+b+2": {0: 3}}
    numbers = people.of_tracks(found["a+b+1"], np.array([4, 0, -1, 9]))
    assert numbers.tolist() == [3, 17, people.NOBODY, people.NOBODY]
    assert numbers.dtype == np.int64


def test_no_file_is_nobody_known(tmp_path):
    assert people.read(tmp_path / "people.tsv") == {}


def test_a_line_that_is_none_is_named(tmp_path):
    path = tmp_path / "people.tsv"
    path.write_text("video\ttrack\tperson\na+b+1\t0\t3\na+b+1\tx\t3\n")
    with pytest.raises(BadInput) as refused:
        people.read(path)
    assert str(refused.value) == (
        f"{path}, line 3: video, track, person wanted, 'a+b+1\tx\t3' found; "
        "mend the line, or delete the file: nothing is trained with it"
    )
