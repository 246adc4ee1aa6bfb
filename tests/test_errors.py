"""Exit codes: 2 for a refusal, 75 for 'run again', a traceback for a bug of ours."""

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
