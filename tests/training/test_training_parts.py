import math
import os
import signal

import numpy as np
import pytest
import torch

from passerby import sealed
from passerby.errors import BadInput
from passerby.training import checkpoint, precision, schedule, stopping
from passerby.training.history import History
from passerby.training.processes import Group
from passerby.training.sampler import EpochSampler

CONTRACT = {"arm": {"queue": 4096, "lr": 0.12}, "mean": [0.4, 0.5], "number_format": "fp32"}


def test_a_checkpoint_gives_back_what_was_saved(tmp_path):
    state = {"step": 3, "rows": "a\tb\n", "weights": {"w": torch.arange(3.0)}}
    checkpoint.save(tmp_path / "c.pt", CONTRACT, state)
    found = checkpoint.load(tmp_path / "c.pt", {**CONTRACT, "mean": (0.4, 0.5)})
    assert (found["step"], found["rows"]) == (3, "a\tb\n")
    assert found["weights"]["w"].tolist() == [0, 1, 2]


def test_no_checkpoint_is_none(tmp_path):
    assert checkpoint.load(tmp_path / "c.pt", CONTRACT) is None


def test_a_checkpoint_of_another_contract_is_refused_with_each_difference(tmp_path):
    path = tmp_path / "c.pt"
    began = {**CONTRACT, "code": {"a.py": "1", "b.py": "1"}, "versions": {"torch": "2.11"}}
    checkpoint.save(path, began, {})
    asked = {
        **CONTRACT,
        "arm": {"queue": 8192, "lr": 0.12},
        "threads": 2,
        "code": {"a.py": "2", "b.py": "1", "c.py": "1"},
        "versions": {"torch": "2.13"},
    }
    with pytest.raises(BadInput) as refused:
        checkpoint.load(path, asked)
    assert str(refused.value) == (
        f"{path}: of a run with another contract; ask for what was saved, or delete it to begin "
        "anew:\n"
        "  code: changed in a.py, c.py\n"
        "  arm.queue: saved 4096, asked 8192\n"
        "  threads: saved None, asked 2\n"
        "  versions.torch: saved '2.11', asked '2.13'"
    )


SAID = "checkpoint: {}: damaged: its checksum is not that of what it holds; the run begins anew\n"


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 0.999])
def test_a_checkpoint_cut_short_is_named_and_not_gone_on_from(tmp_path, capsys, share):
    path = tmp_path / "c.pt"
    checkpoint.save(path, CONTRACT, {"w": torch.rand(1000)})
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    assert checkpoint.load(path, CONTRACT) is None
    assert capsys.readouterr().err == SAID.format(path)
    assert checkpoint.load(path, CONTRACT, quiet=True) is None
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("share", [0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99, 0.9999])
def test_a_checkpoint_with_one_changed_bit_is_named_and_not_gone_on_from(tmp_path, capsys, share):
    path = tmp_path / "c.pt"
    checkpoint.save(path, CONTRACT, {"w": torch.rand(1000)})
    content = bytearray(path.read_bytes())
    content[int(len(content) * share)] ^= 1
    path.write_bytes(content)
    assert checkpoint.load(path, CONTRACT) is None
    assert capsys.readouterr().err == SAID.format(path)


@pytest.mark.parametrize("content", [b"", b"weights", b"PK\x03\x04 torn", b"\x80\x02}q\x00."])
def test_rubbish_is_no_checkpoint_and_runs_no_code(tmp_path, capsys, content):
    path = tmp_path / "c.pt"
    path.write_bytes(content)
    assert checkpoint.load(path, CONTRACT) is None
    assert capsys.readouterr().err == SAID.format(path)
    with sealed.written(path) as beside:
        beside.write_bytes(content)
    with pytest.raises(
        BadInput, match=r"c\.pt: (not a checkpoint|format None).*delete it to begin"
    ):
        checkpoint.load(path, CONTRACT)


def test_a_checkpoint_of_another_version_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "c.pt"
    monkeypatch.setattr(checkpoint, "FORMAT", "passerby.checkpoint/0")
    checkpoint.save(path, {}, {})
    monkeypatch.undo()
    with pytest.raises(BadInput) as refused:
        checkpoint.load(path, CONTRACT)
    assert str(refused.value) == (
        f"{path}: format 'passerby.checkpoint/0', wanted 'passerby.checkpoint/2'; "
        "delete it to begin anew"
    )


def test_a_run_says_from_which_unfinished_ones_it_does_not_go_on_and_why(tmp_path, capsys):
    other, rotten, own = (tmp_path / "train@a" / name for name in ("other", "rotten", "own"))
    for folder in (other, rotten, own):
        folder.mkdir(parents=True)
    checkpoint.begin(other, {**CONTRACT, "code": {"moco.py": "1"}})
    (rotten / checkpoint.CONTRACT).write_bytes(b"\xff\0")
    capsys.readouterr()
    checkpoint.begin(own, {**CONTRACT, "code": {"moco.py": "2"}})
    why = "an unfinished run with another contract; to go on from it, ask for what was saved:"
    assert capsys.readouterr().err == (
        f"train@a: not gone on from {other}, {why}\n  code: changed in moco.py\n"
        f"train@a: not gone on from {rotten}, {why}\n"
        "  its contract.json is damaged, or was written by another version of passerby\n"
    )
    checkpoint.begin(own, {**CONTRACT, "code": {"moco.py": "2"}})  # it goes on: nothing to say
    assert capsys.readouterr().err == ""


def test_a_process_that_has_other_code_than_its_run_computes_nothing(tmp_path):
    own = tmp_path / "train@a" / "own"
    own.mkdir(parents=True)
    began = {"sizes": ((1, 2), (3, 4)), "code": {"moco.py": "1"}}
    checkpoint.require_begun(own, began)  # nobody has noted anything
    checkpoint.begin(own, began)
    checkpoint.require_begun(own, began)
    with pytest.raises(BadInput, match=r"changed while it ran: .*\n  code: changed in moco\.py$"):
        checkpoint.require_begun(own, {**began, "code": {"moco.py": "2"}})


def test_a_damaged_note_of_the_contract_is_written_again(tmp_path):
    own = tmp_path / "train@a" / "own"
    own.mkdir(parents=True)
    checkpoint.begin(own, CONTRACT)
    whole = (own / checkpoint.CONTRACT).read_bytes()
    (own / checkpoint.CONTRACT).write_bytes(whole[:-9])
    checkpoint.begin(own, CONTRACT)
    checkpoint.require_begun(own, CONTRACT)
    assert (own / checkpoint.CONTRACT).read_bytes() == whole


def test_a_checkpoint_is_replaced_whole_or_not_at_all(tmp_path):
    path = tmp_path / "c.pt"
    checkpoint.save(path, CONTRACT, {"step": 1})
    with pytest.raises(AttributeError):
        checkpoint.save(path, CONTRACT, {"step": lambda: 2})
    assert checkpoint.load(path, CONTRACT) == {"step": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["c.pt"]


def test_a_history_grows_row_by_row(tmp_path):
    history = History(tmp_path / "h.tsv", ["step", "loss"])
    history.append({"step": 1_000_000, "loss": 1 / 3})
    history.append({"loss": 2e-9, "step": 2})
    assert (tmp_path / "h.tsv").read_text() == "step\tloss\n1000000\t0.333333\n2\t2e-09\n"
    assert history.text == (tmp_path / "h.tsv").read_text()


def test_a_resumed_history_drops_the_rows_after_its_checkpoint(tmp_path):
    path = tmp_path / "h.tsv"
    history = History(path, ["step"])
    history.append({"step": 1})
    kept = history.text
    history.append({"step": 2})
    resumed = History(path, ["step"], kept)
    assert path.read_text() == "step\n1\n"
    resumed.append({"step": 2})
    assert path.read_text() == history.text == resumed.text


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("vendor_id\t: AuthenticAMD\nflags\t\t: fpu avx512f avx512_bf16", "bf16"),
        ("vendor_id\t: GenuineIntel\nflags\t\t: fpu avx512f avx512_bf16", "fp32"),
        ("flags\t\t: fpu amx_bf16 amx_tile", "bf16"),
        ("Features\t: fp asimd bf16 i8mm", "bf16"),
        ("flags\t\t: fpu avx2 avx512f", "fp32"),
        ("model name\t: bf16", "fp32"),
    ],
)
def test_bf16_is_worth_it_where_the_processor_says_so(tmp_path, line, wanted):
    path = tmp_path / "cpuinfo"
    path.write_text(f"processor\t: 0\n{line}\n\nprocessor\t: 1\n{line}\n")
    found = precision.is_worth_it(precision.cpu_words(str(path)))
    assert ("bf16" if found else "fp32") == wanted


def test_auto_is_what_is_worth_it_on_this_processor():
    here = "bf16" if precision.is_worth_it(precision.cpu_words()) else "fp32"
    assert precision.decide("auto", "cpu") == here
    assert [precision.decide(asked, "cpu") for asked in ("fp32", "bf16")] == ["fp32", "bf16"]


def test_on_a_system_that_tells_nothing_it_is_not(tmp_path):
    assert precision.cpu_words(str(tmp_path / "none")) == set()
    assert not precision.is_worth_it(set())


@pytest.mark.parametrize(("name", "dtype"), [("bf16", torch.bfloat16), ("fp32", torch.float32)])
def test_a_product_runs_in_the_decided_format(name, dtype):
    with precision.autocast("cpu", name):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == dtype


def test_shares_cover_a_batch_in_order():
    device = torch.device("cpu")
    parts = [list(range(12))[Group(rank, 3, device).share(12)] for rank in range(3)]
    assert parts == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]


def test_an_epoch_shows_no_item_twice_and_every_epoch_another_order():
    sampler = EpochSampler(count=103, batch=10, seed=3)
    assert sampler.steps_per_epoch == 10
    epochs = [
        np.concatenate([sampler.rows(10 * epoch + step) for step in range(10)])
        for epoch in range(3)
    ]
    for rows in epochs:
        assert len(set(rows.tolist())) == 100
        assert set(rows.tolist()) <= set(range(103))
    assert not np.array_equal(epochs[0], epochs[1])
    assert [sampler.epoch(step) for step in (0, 9, 10, 29)] == [0, 0, 1, 2]
    # what an epoch leaves out, another shows
    assert len(set(np.concatenate(epochs).tolist())) == 103


def test_rows_follow_from_the_step_alone():
    forth = EpochSampler(50, 8, seed=1)
    rows = [forth.rows(step) for step in range(20)]
    back = EpochSampler(50, 8, seed=1)
    for step in reversed(range(20)):
        np.testing.assert_array_equal(back.rows(step), rows[step])
    assert not np.array_equal(EpochSampler(50, 8, seed=2).rows(0), rows[0])


def test_a_batch_of_all_items_is_an_epoch_and_a_larger_one_is_refused():
    assert EpochSampler(8, 8, seed=0).steps_per_epoch == 1
    with pytest.raises(BadInput) as refused:
        EpochSampler(1000, 2048, seed=0)
    assert str(refused.value) == (
        "found 1,000 items to train on, a batch takes 2,048: "
        "set a smaller 'batch', or give more items"
    )


def test_cosine_is_torchs_after_a_straight_rise():
    layer = torch.nn.Linear(1, 1)
    optimiser = torch.optim.SGD(layer.parameters(), lr=0.3)
    twin = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, T_max=40)
    for step in range(40):
        assert schedule.cosine(step, 40, 0.3) == pytest.approx(twin.get_last_lr()[0], abs=1e-9)
        shifted = schedule.cosine(step + 10, 50, 0.3, warmup_steps=10)
        assert shifted == pytest.approx(twin.get_last_lr()[0], abs=1e-9)
        optimiser.step()
        twin.step()
    rise = [schedule.cosine(step, 50, 0.3, warmup_steps=10) for step in range(10)]
    assert rise == pytest.approx([0.03 * (step + 1) for step in range(10)])
    assert schedule.cosine(20, 40, 1.0) == pytest.approx(0.5)
    assert schedule.cosine(39, 40, 1.0) == pytest.approx(0.5 * (1 + math.cos(math.pi * 39 / 40)))


def test_a_run_shorter_than_its_warm_up_only_rises():
    assert [schedule.cosine(step, 3, 1.0, 10) for step in range(3)] == [0.1, 0.2, 0.3]


def test_sigterm_or_a_file_asks_to_stop(tmp_path):
    before = signal.getsignal(signal.SIGTERM)
    with stopping.watched(tmp_path / "stop") as asked:
        assert not asked()
        (tmp_path / "stop").touch()
        assert asked()
    with stopping.watched() as asked:
        assert not asked()
        os.kill(os.getpid(), signal.SIGTERM)
        assert asked()
    assert signal.getsignal(signal.SIGTERM) == before
