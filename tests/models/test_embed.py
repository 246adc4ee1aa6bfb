"""The verb `embed`."""

import os

import numpy as np
import pytest
from PIL import Image

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


def test_every_kind_of_picture_is_embedded_behind_links_too(model, picture_files, tmp_path):
    folder = picture_files[0].parent
    with Image.open(picture_files[0]) as picture:
        picture.save(folder / "a.TIF")
        picture.save(folder / "b.jfif", "JPEG")
        picture.save(folder / "c.webp")
        (tmp_path / "elsewhere").mkdir()
        picture.save(tmp_path / "elsewhere" / "d.gif")
    (folder / "linked").symlink_to(tmp_path / "elsewhere")
    assert embed(model, folder, tmp_path / "out.npz") == 9
    with np.load(tmp_path / "out.npz") as found:
        assert {"a.TIF", "b.jfif", "c.webp", "linked/d.gif"} < set(found["names"].tolist())


def test_what_is_left_out_of_a_folder_is_said_in_one_line(model, picture_files, tmp_path, capsys):
    folder = picture_files[0].parent
    (folder / "notes.txt").write_text("not a picture")
    (folder / "a.heic").write_bytes(b"of a phone")
    (folder / "gone.jpg").symlink_to("nowhere")
    os.mkfifo(folder / "pipe.png")
    (folder / "again").symlink_to(folder)
    assert embed(model, folder, tmp_path / "out.npz") == 5
    (said,) = [line for line in capsys.readouterr().err.splitlines() if "left out" in line]
    assert said == (
        f"embed: left out of {folder}: 2 not among the endings of pictures: a.heic, notes.txt; "
        "1 links to folders that are read already: again; 2 no regular files: gone.jpg, pipe.png"
    )


def test_a_folder_of_nothing_but_pictures_is_embedded_without_a_word(
    model, picture_files, tmp_path, capsys
):
    embed(model, picture_files[0].parent, tmp_path / "out.npz")
    assert "left out" not in capsys.readouterr().err


def test_a_list_may_bear_a_mark_of_its_encoding(picture_files, tmp_path):
    (tmp_path / "list.txt").write_bytes("pictures/2.jpg\n".encode("utf-8-sig"))
    assert pictures(tmp_path / "list.txt").names == ["pictures/2.jpg"]


def test_nothing_is_written_where_a_picture_is_refused(model, picture_files, tmp_path):
    picture_files[1].write_bytes(picture_files[1].read_bytes()[:300] + b"\xff\xd9")
    with pytest.raises(BadInput, match=r"1\.jpg: not a whole picture"):
        embed(model, picture_files[0].parent, tmp_path / "out.npz")
    assert not (tmp_path / "out.npz").exists()


def test_nothing_that_is_read_is_written_over(model, picture_files, tmp_path):
    listed = tmp_path / "list.txt"
    listed.write_text(f"{picture_files[0].resolve()}\n")
    for out in (listed, picture_files[0], model / "model.yaml"):
        before = out.read_bytes()
        with pytest.raises(BadInput, match="it is read for that and would be lost"):
            embed(model, listed, out)
        assert out.read_bytes() == before


def test_two_runs_write_equal_bytes(model, picture_files, tmp_path):
    for out in ("a.npz", "b.npz"):
        embed(model, picture_files[0].parent, tmp_path / out)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_sources_without_pictures_are_refused(picture_files, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(
        BadInput, match=r"empty: no pictures in it \(looked for \.avif, \.bmp, \.gif"
    ):
        pictures(tmp_path / "empty")
    with pytest.raises(BadInput, match="none: wanted a folder of pictures, or a text file"):
        pictures(tmp_path / "none")
    with pytest.raises(BadInput, match=r"0\.jpg: wanted a folder of pictures"):
        pictures(picture_files[0])
    picture_files[0].rename(tmp_path / "list")
    with pytest.raises(BadInput, match="list, line 1: not text in UTF-8"):
        pictures(tmp_path / "list")


def test_every_line_of_a_list_that_leads_to_no_file_is_named_before_the_work(tmp_path):
    Image.new("RGB", (4, 8)).save(tmp_path / "a.png")
    (tmp_path / "list.txt").write_text("a.png\n# note\n/dev/zero\n.\n" + "x" * 300 + "\n")
    with pytest.raises(BadInput, match=r"list\.txt: 4 of 5 lines lead to no file, .*: # note, "):
        pictures(tmp_path / "list.txt")
