"""studies.cluster_model: a simulation whose limits can be worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from leanbert_bench.report.formatting import number
from leanbert_bench.statistics import median
from studies import cluster_model
from studies.cluster_model import Cluster, simulate

FREE = Cluster(
    4, 80_000, 500.0, dispatch=0.0, node_rate=1e15, store_rate=1e15, start=0.0, cores_per_node=2
)
"""A cluster in which only computing takes time."""


def test_computing_alone_is_shared_by_all_workers() -> None:
    assert simulate(FREE) == pytest.approx(80_000 / 500 / 4)
    assert simulate(replace(FREE, rows=85_000)) == pytest.approx(simulate(FREE) + 5_000 / 500)
    assert simulate(replace(FREE, start=7.0)) == pytest.approx(simulate(FREE) + 7)


def test_each_bottleneck_bounds_the_time() -> None:
    slow = replace(FREE, dispatch=20.0)
    assert simulate(slow) == pytest.approx(16 * 20 + 10)  # one block after the other, then the last
    store = replace(FREE, store_rate=4e5)  # 1e5 bytes per second for each worker
    assert store.transfer == pytest.approx(5_000 * 210 / 1e5)
    assert simulate(store) == pytest.approx(4 * (10 + store.transfer))
    network = replace(FREE, node_rate=2e5, bundle=0.0)  # two workers of one machine share it
    assert network.transfer == pytest.approx(5_000 * 210 / 1e5)
    model = replace(FREE, bundle=3e15)  # 3 seconds for each machine, one after the other
    assert model.nodes == 2
    assert model.distributing == pytest.approx(6)
    assert simulate(model) == pytest.approx(simulate(FREE) + 6, abs=10)


def test_a_shuffle_on_one_machine_moves_nothing() -> None:
    one = replace(FREE, cores_per_node=4, fetch=0.5)
    assert one.shuffling == pytest.approx(16 * 0.5)
    two = replace(FREE, node_rate=1e6, fetch=0.0)
    assert two.shuffling == pytest.approx(80_000 * 110 / 2 / 2e6)


@pytest.mark.parametrize("engine", ["ray", "spark"])
def test_the_simulation_finds_the_two_workers_that_were_measured(engine: str) -> None:
    found = cluster_model.measured(engine)
    real = median(found["texts_per_s"]["cluster"])
    cluster = cluster_model.as_measured(found)
    assert cluster.rows / simulate(cluster) == pytest.approx(real, rel=0.1)


def test_costs_follow_from_the_rate() -> None:
    lines = cluster_model.costs(3_600_000, 0.5).splitlines()
    _, small, _ = cluster_model.rates_per_core()[0]
    name, rate, hours, money = [cell.strip() for cell in lines[2].strip("|").split("|")]
    assert name == "embedded model"
    assert float(rate) == pytest.approx(small, rel=0.01)
    assert float(hours) == pytest.approx(1000 / small, rel=0.01)
    assert money == f"{number(500 / small)} USD"
