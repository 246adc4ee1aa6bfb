"""The progress line and the last line that stays."""

import pytest

from passerby.progress import Progress, clock


def test_the_last_line_says_what_was_left_out_and_why(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress("crop", total=3, unit="videos") as progress:
        progress.step(3)
        progress.leave_out("small", 1200)
        progress.leave_out("blurred", 0)
        progress.leave_out("cut", 2)
    said = capsys.readouterr().err
    assert said.startswith("crop  3/3 videos  ")
    assert said.endswith("done in 0:00  |  left out: cut 2  small 1,200\n")


def test_a_failure_is_told_as_stopped(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ZeroDivisionError), Progress("crop", None, "videos") as progress:
        progress.step()
        _ = 1 / 0
    said = capsys.readouterr().err
    assert said.startswith("crop  1 videos  ")
    assert said.endswith("stopped in 0:00\n")


def test_quiet_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress("crop", 1, "videos", quiet=True) as progress:
        progress.step()
    assert capsys.readouterr().err == ""


def test_what_was_done_before_does_not_count_into_the_rate() -> None:
    progress = Progress("pretrain", 100, "steps", done=50, quiet=True)
    progress._begin_s -= 10
    progress.step(10)
    assert "60/100 steps  1/s  0:40 left" in progress.text()


def test_clock_rounds_to_seconds() -> None:
    assert [clock(s) for s in (0, 59.6, 61, 86_400)] == ["0:00", "1:00", "1:01", "24:00:00"]
