import needs
import pytest
import torch
from pretrain_samples import ARM, ENCODER, write_crops, write_people
from trainer_samples import made

from passerby.crops.store import CropStore
from passerby.datasets import index
from passerby.errors import BadInput, Stopped
from passerby.pretrain.cropset import CropSet
from passerby.pretrain.loop import Loop
from passerby.pretrain.monitor import Monitor
from passerby.settings import Mining
from passerby.training import checkpoint

pytestmark = pytest.mark.slow
MINED = {"positives": "mined", "mining": Mining(from_epoch=1, every_epochs=1, min_similarity=-1)}


@pytest.fixture(scope="module")
def crops(tmp_path_factory) -> CropSet:
    path = tmp_path_factory.mktemp("loop") / "crops.lmdb"
    write_crops(path)
    return CropSet.of(CropStore(path))


def never() -> bool:
    return False


def loop(crops, group, folder, contract=None, stop=never, watch=None, **changes) -> Loop:
    trainer, feed = made(crops, group, **changes)
    folder.mkdir(exist_ok=True)
    return Loop(trainer, feed, folder, folder / "out", contract or {"a": 1}, stop, watch)


def table(path) -> list[list[str]]:
    return [line.split("\t") for line in path.read_text().splitlines()]


def test_a_run_writes_its_history_and_one_checkpoint(group, crops, tmp_path):
    loop(crops, group, tmp_path).run()
    rows = table(tmp_path / "out" / "history.tsv")
    measured = ["loss", "accuracy", "spread", "alignment", "uniformity", "lr"]
    assert rows[0] == ["step", "epoch", *measured]
    assert [row[:2] for row in rows[1:]] == [[str(n + 1), str(n // 4)] for n in range(12)]
    assert [float(row[7]) for row in rows[1:5]] == pytest.approx(
        [0.05 / 64 * n for n in (1, 2, 3, 4)]
    )
    assert table(tmp_path / "out" / "monitor.tsv") == [["epoch", "map", "rank_1"]]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint.pt", "out"]


@pytest.mark.parametrize("changes", [{}, MINED])
def test_a_stopped_run_says_so_and_goes_on_to_the_same_bytes(group, crops, tmp_path, changes):
    whole, halves = tmp_path / "whole", tmp_path / "halves"
    undisturbed = loop(crops, group, whole, **changes)
    undisturbed.run()
    with pytest.raises(Stopped) as stopped:
        loop(crops, group, halves, stop=lambda: True, **changes).run()
    assert str(stopped.value) == "pretrain: stopped at step 10 of 12, saved"
    with (halves / "out" / "history.tsv").open("a") as file:
        file.write("11\ta row that a killed run left behind\n")
    resumed = loop(crops, group, halves, **changes)
    assert resumed.trainer.step == 10
    resumed.run()
    for name in ("history.tsv", "monitor.tsv"):
        assert (whole / "out" / name).read_bytes() == (halves / "out" / name).read_bytes()
    one, other = undisturbed.trainer.state(), resumed.trainer.state()
    for part in ("query_encoder", "key_encoder", "queue"):
        for name, tensor in one[part].items():
            assert torch.equal(tensor, other[part][name]), name
    if changes:
        pairs = [run.feed.positives.state()["pairs"] for run in (undisturbed, resumed)]
        assert len(pairs[0]) > 0
        assert torch.equal(*pairs)


def test_mined_pairs_stand_in_the_history(group, crops, tmp_path):
    loop(crops, group, tmp_path, **MINED).run()
    rows = table(tmp_path / "out" / "history.tsv")
    assert rows[0][-3:] == ["pairs", "paired_tracks", "right_pairs"]
    assert [row[-3:] for row in rows[1:5]] == [["0", "0", "nan"]] * 4
    assert all(int(row[-3]) > 0 for row in rows[5:])
    assert {row[-3:][0] for row in rows[5:9]} == {rows[5][-3]}


def test_the_monitor_looks_before_training_and_after_every_few_epochs(group, crops, tmp_path):
    path = write_people(tmp_path)
    asked = ARM.monitor.model_copy(update={"every_epochs": 2})
    watch = Monitor(index.read(path, tmp_path), asked, ENCODER, (16, 8), 1)
    run = loop(crops, group, tmp_path / "run", watch=watch, monitor=asked)
    before = watch.score(run.trainer.backbone())
    run.run()
    rows = table(tmp_path / "run" / "out" / "monitor.tsv")
    assert [row[0] for row in rows] == ["epoch", "0", "2", "3"]
    assert [float(x) for x in rows[1][1:]] == pytest.approx([*before.values()], rel=1e-5)
    after = watch.score(run.trainer.backbone())
    assert [float(x) for x in rows[3][1:]] == pytest.approx([*after.values()], rel=1e-5)


def test_the_monitor_changes_nothing_that_is_trained(group, crops, tmp_path):
    path = write_people(tmp_path)
    watch = Monitor(index.read(path, tmp_path), ARM.monitor, ENCODER, (16, 8), 1)
    watched = loop(crops, group, tmp_path / "a", watch=watch, monitor=ARM.monitor)
    alone = loop(crops, group, tmp_path / "b")
    for run in (watched, alone):
        run.run()
    ours, theirs = (run.trainer.query_encoder.state_dict() for run in (watched, alone))
    assert all(torch.equal(tensor, theirs[name]) for name, tensor in ours.items())


def test_a_checkpoint_of_other_settings_lists_them(group, crops, tmp_path):
    with pytest.raises(Stopped):
        loop(crops, group, tmp_path, {"arm": {"queue": 40}}, lambda: True).run()
    with pytest.raises(BadInput) as refused:
        loop(crops, group, tmp_path, {"arm": {"queue": 41}})
    assert str(refused.value).endswith(":\n  arm.queue: saved 40, asked 41")


def test_a_checkpoint_of_more_processes_goes_on_and_says_that_bytes_differ(
    group, crops, tmp_path, capsys
):
    with pytest.raises(Stopped):
        loop(crops, group, tmp_path, stop=lambda: True).run()
    path, contract = tmp_path / "checkpoint.pt", {"a": 1}
    state = checkpoint.load(path, contract)
    for part, key in ((state["trainer"], "processes"), (state, "seen")):
        part[key] = part[key].repeat(2, 1)
    checkpoint.save(path, contract, state)
    resumed = loop(crops, group, tmp_path)
    assert capsys.readouterr().out == (
        "pretrain: 2 processes saved step 10, 1 go on: "
        "the same batches and negatives, but no longer the same bytes\n"
    )
    resumed.run()
    assert [row[0] for row in table(tmp_path / "out" / "history.tsv")[-2:]] == ["11", "12"]


def test_weights_that_are_no_numbers_are_not_saved(group, crops, tmp_path):
    run = loop(crops, group, tmp_path, stop=lambda: True)
    run.trainer.query_encoder.head[0].weight.register_hook(lambda g: g * float("nan"))
    with pytest.raises(BadInput, match=r"the loss is nan at step 1|no numbers after step 1"):
        run.run()
    assert not (tmp_path / "checkpoint.pt").exists()


def test_tensorboard_files_hold_the_curves(group, crops, tmp_path, monkeypatch):
    needs.require("the package 'tensorboard'")
    from tensorboard.backend.event_processing import event_accumulator as loading

    from passerby.training.boards import Board

    monkeypatch.setenv("PASSERBY_TENSORBOARD", str(tmp_path / "boards"))
    trainer, feed = made(crops, group)
    Loop(trainer, feed, tmp_path, tmp_path / "out", {}, never, board=Board("moco")).run()
    read = loading.EventAccumulator(str(tmp_path / "boards" / "moco"))
    read.Reload()
    rows = table(tmp_path / "out" / "history.tsv")
    shown = [f"{event.value:.4g}" for event in read.Scalars("loss")]
    assert shown == [f"{float(row[2]):.4g}" for row in rows[1:]]
