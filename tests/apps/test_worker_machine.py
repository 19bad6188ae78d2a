"""How much a worker takes on: by the processors and the memory that it has, and by what its operator says."""

import os
from pathlib import Path

import pytest

from mamkit.transcode import UHD_LADDER
from mamkit_apps.settings import SettingsError
from mamkit_apps.worker.machine import memory, processors, slots_of
from mamkit_apps.worker.settings import WorkerSettings


def test_a_slot_for_every_four_processors_and_two_where_there_are_two() -> None:
    assert [slots_of(count) for count in (1, 2, 3, 4, 8, 12, 16, 64)] == [1, 2, 2, 2, 2, 3, 4, 16]


def test_a_container_has_the_processors_of_its_quota(tmp_path: Path) -> None:
    alone = processors(tmp_path)
    assert alone >= 1
    (tmp_path / "cpu.max").write_text("50000 100000\n")
    assert processors(tmp_path) == 1
    (tmp_path / "cpu.max").write_text("max 100000\n")
    assert processors(tmp_path) == alone
    (tmp_path / "cpu.max").write_text("nonsense")
    assert processors(tmp_path) == alone


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system pins no process to a processor")
def test_a_process_that_was_pinned_has_one_processor(tmp_path: Path) -> None:
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        assert processors(tmp_path) == 1
    finally:
        os.sched_setaffinity(0, before)


def test_a_container_has_three_quarters_of_its_memory(tmp_path: Path) -> None:
    whole = memory(tmp_path)
    assert whole is not None
    (tmp_path / "memory.max").write_text("1000000\n")
    assert memory(tmp_path) == 750_000
    (tmp_path / "memory.max").write_text("max\n")
    assert memory(tmp_path) == whole


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
