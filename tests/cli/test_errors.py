from __future__ import annotations

import io

import click
import pytest

from kirsch.cli.errors import Failure, WrongTarget


@pytest.mark.parametrize(("kind", "code"), [(Failure, 1), (WrongTarget, 2)])
def test_the_exit_code_says_who_is_to_mend_it(kind: type[Failure], code: int) -> None:
    assert kind("It is broken.").exit_code == code
    assert issubclass(kind, click.ClickException)


def test_the_detail_comes_before_the_sentence() -> None:
    stream = io.StringIO()
    Failure("It is broken.", detail="Traceback ...\n").show(stream)
    assert stream.getvalue() == "Traceback ...\nError: It is broken.\n"


def test_without_a_detail_there_is_one_line_on_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    Failure("It is broken.").show()
    assert capsys.readouterr() == ("", "Error: It is broken.\n")


def test_the_detail_goes_to_standard_error_too(capsys: pytest.CaptureFixture[str]) -> None:
    Failure("It is broken.", detail="why").show()
    assert capsys.readouterr() == ("", "why\nError: It is broken.\n")


def test_the_cause_is_kept() -> None:
    cause = ValueError()
    assert Failure("It is broken.", cause=cause).cause is cause
