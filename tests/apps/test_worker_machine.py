"""How much a worker takes on: by the processors and the memory that it has, and by what its operator says."""

from pathlib import Path

import pytest

from mamkit.transcode import UHD_LADDER
from mamkit_apps.settings import SettingsError
from mamkit_apps.worker.machine import slots_of
from mamkit_apps.worker.settings import WorkerSettings


def test_a_slot_for_every_two_processors_and_two_where_there_are_two() -> None:
    assert [slots_of(count) for count in (1, 2, 3, 4, 8, 12, 16, 64)] == [1, 2, 2, 2, 4, 6, 8, 32]


def test_the_operator_chooses_what_previews_are_made_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREVIEW_CODECS", "av1, h264")
    monkeypatch.setenv("PREVIEW_LADDER", "uhd")
    monkeypatch.setenv("PREVIEW_COPY", "false")
    monkeypatch.setenv("PREVIEW_HDR", "true")
    policy = WorkerSettings.load(data_dir=tmp_path).policy
    assert (policy.codecs, policy.ladder, policy.copy, policy.container) == (("h264", "av1"), UHD_LADDER, False, "fmp4")
    assert policy.hdr


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ({"PREVIEW_CODECS": "mpeg2"}, "PREVIEW_CODECS"),
        ({"PREVIEW_CODECS": ""}, "PREVIEW_CODECS"),
        ({"PREVIEW_CODECS": "h264,h264"}, "PREVIEW_CODECS"),
        ({"PREVIEW_CODECS": "hevc", "PREVIEW_CONTAINER": "ts"}, "PREVIEW_CONTAINER"),
        ({"PREVIEW_HDR": "true", "PREVIEW_CONTAINER": "ts"}, "PREVIEW_HDR"),
        ({"PREVIEW_LADDER": "8k"}, "PREVIEW_LADDER"),
        ({"WORKER_SLOTS": "-1"}, "WORKER_SLOTS"),
    ],
)
def test_what_cannot_be_made_stops_the_start_and_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, values: dict[str, str], name: str
) -> None:
    for variable, value in values.items():
        monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError, match=name):
        WorkerSettings.load(data_dir=tmp_path)
