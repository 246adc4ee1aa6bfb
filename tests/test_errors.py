"""Exit codes: 2 for a refusal, 75 for 'run again', a traceback for a bug of ours."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from passerby import errors


def refuse(error: BaseException) -> None:
    raise error


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (errors.BadInput("a.txt: gone"), 2, "passerby: a.txt: gone\n"),
        (errors.Stopped("stopped; run again"), 75, "passerby: stopped; run again\n"),
        (KeyboardInterrupt(), 130, "passerby: interrupted\n"),
    ],
)
def test_a_refusal_is_one_message_and_an_exit_code(
    error: BaseException, code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        errors.run(refuse, error)
    assert ended.value.code == code
    assert capsys.readouterr().err == said


def test_a_bug_keeps_its_traceback() -> None:
    with pytest.raises(ZeroDivisionError):
        errors.run(refuse, ZeroDivisionError())


def test_success_ends_with_zero() -> None:
    with pytest.raises(SystemExit) as ended:
        errors.run(lambda: None)
    assert ended.value.code == 0


def test_wrong_arguments_are_answered_with_how_the_program_is_called(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as ended:
        errors.run(refuse)
    assert ended.value.code == 2
    assert capsys.readouterr().err == (
        f"passerby: found 0 arguments, wanted: {__doc__.splitlines()[-1]}\n"
    )


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (errno.ENOSPC, "a.txt: the disk is full (No space left on device); make room and run"),
        (errno.EDQUOT, "a.txt: the quota of the disk is used up (Disk quota exceeded); make room"),
        (errno.EROFS, "a.txt: its disk can only be read (Read-only file system); name a place"),
        (errno.EACCES, "a.txt: no right to do that (Permission denied); change the rights, or"),
        (errno.ENOTDIR, "a.txt: a file stands where a folder was wanted (Not a directory); name"),
        (errno.EISDIR, "a.txt: a folder stands where a file was wanted (Is a directory); name a"),
        (errno.ESTALE, "a.txt: its network disk was taken away (Stale file handle); run again"),
    ],
)
def test_what_a_disk_refuses_is_a_refusal_of_every_program(
    code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        errors.run(refuse, OSError(code, "as the system has it", "a.txt"))
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith(f"passerby: {said}")


def test_a_disk_that_names_no_file_is_a_refusal_too(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        errors.run(refuse, OSError(errno.ENOSPC, "full"))
    assert capsys.readouterr().err == (
        "passerby: an output: the disk is full (No space left on device); make room and run again\n"
    )


def test_a_bug_after_a_full_disk_stays_a_bug() -> None:
    def main() -> None:
        try:
            raise OSError(errno.ENOSPC, "full")
        except OSError:
            _ = {}["key"]

    with pytest.raises(KeyError):
        errors.run(main)


@pytest.mark.parametrize("error", [FileNotFoundError(2, "gone", "a"), RuntimeError("disk is full")])
def test_other_errors_keep_their_traceback(error: Exception) -> None:
    with pytest.raises(type(error)):
        errors.run(refuse, error)


def test_a_refusal_before_the_program_keeps_it_from_running() -> None:
    ran = []
    with pytest.raises(SystemExit) as ended:
        errors.run(lambda: ran.append(1), first=lambda: refuse(errors.BadInput("no")))
    assert (ended.value.code, ran) == (2, [])


PRINTS = "from passerby import errors; errors.run(lambda: print('x' * 10))"


def test_what_is_printed_to_a_full_disk_is_a_refusal() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-c", PRINTS],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 2
    assert done.stderr == (
        "passerby: an output: the disk is full (No space left on device); make room and run again\n"
    )


def test_output_that_nobody_reads_ends_a_program_quietly() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-c", PRINTS],
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, "")


def test_another_broken_pipe_stays_a_bug() -> None:
    code = """
import os
from passerby import errors

def write_where_nobody_reads():
    reader, writer = os.pipe()
    os.close(reader)
    os.write(writer, b"x")

errors.run(write_where_nobody_reads)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.endswith("BrokenPipeError: [Errno 32] Broken pipe\n")
