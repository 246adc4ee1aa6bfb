"""The verb `embed`."""

import numpy as np
import pytest

from passerby.errors import BadInput
from passerby.models.embed import embed, pictures
from passerby.models.embedder import Embedder


def test_a_folder_is_embedded_sorted_with_its_names(model, picture_files, tmp_path):
    folder = picture_files[0].parent
    (folder / "below").mkdir()
    (folder / "below" / "4.JPG").write_bytes(picture_files[0].read_bytes())
    (folder / "notes.txt").write_text("not a picture")
    assert embed(model, folder, tmp_path / "out.npz") == 6
    with np.load(tmp_path / "out.npz") as found:
        names = found["names"].tolist()
        features = found["features"]
    assert names == ["0.jpg", "1.jpg", "2.jpg", "3.jpg", "alpha.png", "below/4.JPG"]
    wanted = Embedder.load(model).embed_files([folder / name for name in names], progress=False)
    np.testing.assert_array_equal(features, wanted)


def test_a_list_is_embedded_in_its_order(model, picture_files, tmp_path):
    (tmp_path / "list.txt").write_text("pictures/2.jpg\r\n\npictures/0.jpg \n")
    assert embed(model, tmp_path / "list.txt", tmp_path / "out.npz") == 2
    with np.load(tmp_path / "out.npz") as found:
        assert found["names"].tolist() == ["pictures/2.jpg", "pictures/0.jpg"]


def test_two_runs_write_equal_bytes(model, picture_files, tmp_path):
    for out in ("a.npz", "b.npz"):
        embed(model, picture_files[0].parent, tmp_path / out)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_sources_without_pictures_are_refused(picture_files, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadInput, match=r"empty: no pictures in it \(looked for \.bmp, \.jpeg"):
        pictures(tmp_path / "empty")
    with pytest.raises(BadInput, match="none: wanted a folder of pictures, or a text file"):
        pictures(tmp_path / "none")
    with pytest.raises(BadInput, match=r"0\.jpg: wanted a folder of pictures"):
        pictures(picture_files[0])
    picture_files[0].rename(tmp_path / "list")
    with pytest.raises(BadInput, match="list, line 1: not text in UTF-8"):
        pictures(tmp_path / "list")
