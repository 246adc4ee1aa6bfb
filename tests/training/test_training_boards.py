import pytest

from passerby.errors import BadInput
from passerby.training import boards


def test_nothing_is_written_where_nobody_asks(monkeypatch, tmp_path):
    monkeypatch.delenv("PASSERBY_TENSORBOARD", raising=False)
    monkeypatch.chdir(tmp_path)
    boards.require()
    boards.Board("moco").add(3, {"loss": 1.0})
    assert not list(tmp_path.iterdir())


def test_asking_without_tensorboard_is_refused_before_work_starts(monkeypatch):
    monkeypatch.setenv("PASSERBY_TENSORBOARD", "boards")
    monkeypatch.setattr(boards, "find_spec", lambda name: None)
    with pytest.raises(BadInput) as refused:
        boards.require()
    assert str(refused.value) == (
        "PASSERBY_TENSORBOARD is set, but TensorBoard is missing: pip install tensorboard"
    )
