"""leanbert.integrations.ray on a cluster of two nodes of one core each."""

from __future__ import annotations

import os
import resource
import signal
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from leanbert.errors import InputError
from tests.clusters.conftest import LAST, ROWS, as_bytes

ray = pytest.importorskip("ray", reason="ray is not installed: make clusters")
pytest.importorskip("ray.data")

from leanbert.integrations.ray import Predictor, placement  # noqa: E402 - ray must be there

BLOCK = 100


@pytest.fixture(scope="module")
def cluster(asked_for: None) -> Iterator[None]:
    from ray.cluster_utils import Cluster

    node = {"num_cpus": 1, "object_store_memory": 100 << 20}
    config = {"metrics_report_interval_ms": 500}
    nodes = Cluster(initialize_head=True, head_node_args={**node, "_system_config": config})
    nodes.add_node(**node)
    ray.init(address=nodes.address, logging_level="error", log_to_driver=False)
    ray.data.DataContext.get_current().enable_progress_bars = False
    yield
    ray.shutdown()
    nodes.shutdown()


def in_blocks(table: Any) -> Any:
    """A data set whose blocks wait in the object store."""
    return ray.data.from_arrow([table.slice(at, BLOCK) for at in range(0, len(table), BLOCK)])


class Watched(Predictor):
    """Notes who computes, and ends its own process once where it is told to."""

    def __init__(self, folder: Path, killing: str, *given: Any) -> None:
        super().__init__(*given)
        self.folder, self.killing = folder, killing
        (folder / f"opened-{os.getpid()}-{time.time_ns()}").touch()

    def __call__(self, batch: Any) -> Any:
        killed = self.folder / "killed"
        if self.killing in batch.column("headline").to_pylist() and not killed.exists():
            killed.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        answered = super().__call__(batch)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        node = ray.get_runtime_context().get_node_id()
        note = f"{os.getpid()} {node} {peak} {self._model.threads} {time.time_ns()}\n"
        with (self.folder / "batches").open("a") as file:
            file.write(note)
        time.sleep(0.2)  # so that one worker is not done with all before the second is there
        return answered


def answered(news: Any, folder: Path, killing: str = "never", **options: Any) -> list[Any]:
    given = placement(column="headline", batch_size=BLOCK, **options)
    given["fn_constructor_args"] = (folder, killing, *given["fn_constructor_args"])
    found: list[Any] = in_blocks(news).map_batches(Watched, **given).take_all()
    return found


def test_answers_are_those_of_the_plain_run_and_both_nodes_compute(
    cluster: None, news: Any, plain: bytes, tmp_path: Path
) -> None:
    memory = placement(column="headline")["memory"]
    assert as_bytes(answered(news, tmp_path)) == plain
    notes = [line.split() for line in (tmp_path / "batches").read_text().splitlines()]
    workers, nodes = {note[0] for note in notes}, {note[1] for note in notes}
    assert (len(workers), len(nodes)) == (2, 2)  # threads x workers = cores
    assert len(list(tmp_path.glob("opened-*"))) == 2  # the model, once by each worker
    assert {note[3] for note in notes} == {"1"}
    assert max(int(note[2]) for note in notes) < memory


def test_a_killed_worker_is_replaced_and_no_row_is_lost_or_doubled(
    cluster: None, news: Any, plain: bytes, tmp_path: Path
) -> None:
    assert as_bytes(answered(news, tmp_path, killing=LAST)) == plain
    assert (tmp_path / "killed").exists()
    assert len(list(tmp_path.glob("opened-*"))) == 3


def test_a_bundle_travels_to_workers_that_lack_it(
    cluster: None, news: Any, plain: bytes, moving_bundle: Path
) -> None:
    given = placement(moving_bundle, column="headline", batch_size=BLOCK)
    moving_bundle.rename(moving_bundle.parent / "gone")
    assert as_bytes(in_blocks(news).map_batches(Predictor, **given).take_all()) == plain


def test_counters_are_at_the_prometheus_end_points(
    cluster: None, news: Any, moving_bundle: Path, tmp_path: Path
) -> None:
    """Ray may lose what an actor counted in its last moments, but nothing counts twice."""
    model = moving_bundle.rename(moving_bundle.with_name("counted"))  # the tag of this test alone
    answered(news, tmp_path, model=model)
    deadline, found = time.monotonic() + 60, counted(model.name)
    while not all(found.values()) and time.monotonic() < deadline:
        time.sleep(1)
        found = counted(model.name)
    assert BLOCK <= found["rows"] <= ROWS
    assert found["rows"] % BLOCK == 0
    assert 1 <= found["missing"] <= news.column("headline").null_count


def counted(model: str) -> dict[str, float]:
    """What the counters of all workers say together; several nodes may tell of one worker."""
    found: dict[str, float] = {}
    for node in ray.nodes():
        address = f"http://{node['NodeManagerAddress']}:{node['MetricsExportPort']}/metrics"
        with urllib.request.urlopen(address, timeout=10) as page:
            for line in page.read().decode().splitlines():
                if line.startswith("ray_leanbert_") and f'"{model}"' in line:
                    counter, value = line.rsplit(" ", 1)
                    found[counter] = max(found.get(counter, 0.0), float(value))
    return {
        name: sum(value for counter, value in found.items() if f"_{name}_total" in counter)
        for name in ("rows", "missing")
    }


def test_what_has_no_room_is_refused(cluster: None) -> None:
    with pytest.raises(InputError, match="0 workers of 3 threads have room in the cluster"):
        placement(threads=3)
    with pytest.raises(InputError, match="2 workers of 1 threads have room"):
        placement(workers=3)
