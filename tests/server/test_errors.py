"""The server's own errors: whose fault each is, and what it says."""

from __future__ import annotations

import inspect
import re

import pytest

from kirsch.server import errors
from kirsch.server.errors import ApplicationError, BindError, ClientGone, RequestError, ServerError


def test_every_error_of_the_module_is_exported_and_a_server_error() -> None:
    found = {name for name, value in vars(errors).items() if inspect.isclass(value)}
    assert found == set(errors.__all__)
    assert all(issubclass(getattr(errors, name), ServerError) for name in errors.__all__)


def test_the_drawing_in_the_module_names_every_error() -> None:
    assert errors.__doc__ is not None
    drawn = re.findall(r"^ *- (\w+)", errors.__doc__, re.MULTILINE)
    assert sorted(drawn) == errors.__all__


def test_a_request_error_carries_its_answer() -> None:
    error = RequestError(431, "Too large.", "header_too_large")
    assert (error.status, error.text, error.reason) == (431, "Too large.", "header_too_large")
    assert str(error) == "431: Too large."
    assert RequestError(400, "No.").reason == ""


def test_a_program_may_catch_a_lost_client_as_a_connection_error() -> None:
    with pytest.raises(ConnectionError):
        raise ClientGone("The client closed the connection.")
    assert not issubclass(ApplicationError, ConnectionError)
    assert not issubclass(BindError, OSError)
