"""What a URL of a database causes is explained by what to install or to write."""

from __future__ import annotations

import pytest

from safeops.databases.connections import explain_url_errors
from safeops.errors import InvalidArgument


# SQLAlchemy 2.1 raises it when its asyncio part is imported, 2.0 when a connection is used.
@pytest.mark.parametrize("error", [ImportError, ValueError])
def test_an_asynchronous_url_without_greenlet(error: type[Exception]) -> None:
    with pytest.raises(InvalidArgument) as caught, explain_url_errors():
        raise error("the Python 'greenlet' library is required")
    assert 'pip install "sqlalchemy[asyncio]"' in str(caught.value)


def test_other_errors_are_left_as_they_are() -> None:
    with pytest.raises(ImportError, match="no module"), explain_url_errors():
        raise ImportError("no module of the project")
