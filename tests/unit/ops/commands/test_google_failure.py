from pathlib import Path

import pytest
from requests import exceptions

from ops.commands.google_failure import CALL_ERRORS, google_failure
from ops.runtime.settings import Settings


@pytest.mark.parametrize("kind", [exceptions.ConnectionError, exceptions.ReadTimeout])
def test_a_bigquery_that_does_not_answer_is_named_with_its_address(
    kind: type[Exception], tmp_path: Path
) -> None:
    settings = Settings.load({}, dotenv=tmp_path / "no.env")
    error = kind("nothing came")
    assert isinstance(error, CALL_ERRORS)
    assert "BigQuery does not answer at 127.0.0.1:9050" in str(google_failure(error, settings))
