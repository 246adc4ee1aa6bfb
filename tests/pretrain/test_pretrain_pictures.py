import numpy as np
import pytest
import torch
from crop_samples import make_source, picture

from passerby.crops.store import CropStore, writing
from passerby.images import encoded
from passerby.pretrain import pictures
from passerby.pretrain.cropset import CropSet
from passerby.pretrain.pictures import Resident, Streaming

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def crops(tmp_path_factory) -> CropSet:
    """300 crops of 40x20, one person in each ten of them."""
    jpegs = [encoded(picture(n), 95) for n in range(300)]
    one = make_source("de+bonn+a", count=0)
    columns = {key: np.zeros((300, *v.shape[1:]), v.dtype) for key, v in one.columns.items()}
    columns |= {"width": columns["width"] + 20, "height": columns["height"] + 40}
    columns["frame"] = np.arange(300, dtype=np.int32)
    columns["person"] = np.arange(300, dtype=np.int64) // 10
    path = tmp_path_factory.mktemp("pictures") / "c.lmdb"
    with writing(path) as writer:
        writer.add(make_source("de+bonn+a", 300, jpegs=jpegs, columns=columns))
    return CropSet.of(CropStore(path))


def test_crops_lie_in_memory_at_one_size(crops):
    kept = Resident(crops, (40, 20), 3, CPU, quiet=True)  # more than one block of them
    assert kept.pictures.shape == (300, 40, 20, 3)
    for row in (0, 255, 256, 299):
        np.testing.assert_array_equal(kept.pictures[row], crops.store.image(row))
    np.testing.assert_array_equal(kept.take(np.array([7, 3])), kept.pictures[[7, 3]])
    half = Resident(crops, (20, 10), 1, CPU, quiet=True)
    blocks = kept.pictures[5].double().reshape(20, 2, 10, 2, 3).mean((1, 3))  # over the area
    assert (half.pictures[5] - blocks).abs().max() <= 0.5 + 1e-6


def test_streamed_pictures_are_the_kept_ones(crops):
    kept = Resident(crops, (36, 18), 2, CPU, quiet=True)
    streamed = Streaming(crops, (36, 18), 2, CPU)
    rows = np.array([299, 0, 17, 17])
    assert torch.equal(streamed.take(rows), kept.take(rows))


def test_people_who_are_left_out_are_not_there(crops):
    some = CropSet.of(crops.store, np.array([0, 29, 77]))
    assert len(some) == 280
    assert set(crops.person) - set(some.person) == {0, 29}
    assert some.shape.tolist() == [0.5] * 280
    np.testing.assert_array_equal(some.image(0), crops.store.image(10))


@pytest.mark.parametrize(
    ("asked", "processes", "kind"),
    [("auto", 1, Resident), ("auto", 10**9, Streaming), ("streaming", 1, Streaming)],
)
def test_auto_keeps_what_fits_in_half_of_the_free_memory(crops, capsys, asked, processes, kind):
    opened = pictures.opened(crops, (40, 20), asked, 1, CPU, processes, quiet=False)
    assert isinstance(opened, kind)
    assert "0.00 GB of pictures, " in capsys.readouterr().out


def test_free_memory_is_what_the_system_says_is_available():
    import psutil

    told = psutil.virtual_memory().available
    assert pictures.free_bytes(CPU) == pytest.approx(told, rel=0.2)
