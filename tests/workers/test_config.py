"""A worker's name is the URL at which others reach it."""

from pathlib import Path
from typing import Any

import pytest

from workers.config import WorkerConfig


def _config(**fields: Any) -> WorkerConfig:
    return WorkerConfig(coordinator="http://127.0.0.1:8470", data=Path("/data"), **fields)


URLS: dict[str, tuple[dict[str, str], str, str]] = {
    "as bound": ({}, "http://127.0.0.1:9101", "http://127.0.0.1:9101"),
    "advertised": ({"advertise": "http://w1:9000/w/"}, "http://10.0.0.1:9101", "http://w1:9000/w"),
    "an id that is a URL": ({"id": "http://w1:9000"}, "http://10.0.0.1:9101", "http://w1:9000"),
    "advertised and named": ({"id": "left", "advertise": "http://w1"}, "http://10.0.0.1:1", "http://w1"),
    "everywhere": ({}, "http://0.0.0.0:9101", "http://127.0.0.1:9101"),
    "everywhere, IPv6": ({}, "http://[::]:9101", "http://127.0.0.1:9101"),
}


@pytest.mark.parametrize(("fields", "bound", "url"), URLS.values(), ids=URLS)
def test_the_url_is_one_that_others_can_use(fields: dict[str, str], bound: str, url: str) -> None:
    """Bound to every address, it is the one that leads to the coordinator."""
    assert _config(**fields).url(bound) == url


def test_an_id_that_is_no_url_is_a_name() -> None:
    """It is shown as a label and changes nothing else."""
    config = _config(id="left", labels={"os": "linux"})
    assert config.all_labels == {"os": "linux", "name": "left"}
    assert _config(id="http://w").all_labels == {}


def test_the_path_of_the_url_is_served_below() -> None:
    """distbuild's workers are often mounted at a path of their own."""
    assert _config(advertise="http://127.0.0.1:9000/worker/0").base_path == "worker/0"
    assert _config().base_path == ""


def test_a_token_goes_with_every_request_and_into_no_log() -> None:
    """It is a secret."""
    config = _config(token="tz_worker_x")
    assert config.headers == (("authorization", "Bearer tz_worker_x"),)
    assert "tz_worker" not in repr(config)
    assert _config().headers == ()


def test_there_is_at_least_one_slot() -> None:
    """By default one for each CPU that the process may use."""
    assert _config().slots >= 1
    with pytest.raises(ValueError, match="slots"):
        _config(slots=0)
