"""What is particular to one engine, beyond the conformance suite."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from archindex.core.errors import ArgumentError, StorageError
from archindex.indexes import ExactIndex, Metric, load_index, make_index
from archindex.indexes import _scan as kernel
from archindex.indexes._points import MAX_NORM
from archindex.testing.index_case import both_metrics
from archindex.testing.vectors import clustered, true_distances

QUANTISED = ("ivf_sq8", "ivf_pq", "ivf_opq", "ivf_rabitq")
APPROXIMATE = ("hnsw", "ivf", *QUANTISED)


def test_exact_uses_a_mapped_array_where_it_lies(tmp_path: Path) -> None:
    np.save(tmp_path / "v.npy", clustered(300, 8))
    mapped = np.load(tmp_path / "v.npy", mmap_mode="r")
    index = ExactIndex(8)
    index.build(mapped, np.arange(300))
    assert index._stored.base is mapped
    index.add(clustered(2, 8, seed=3), [900, 901])
    index.remove([0, 900])
    assert index._stored.base is mapped
    query = mapped[5]
    truth = true_distances(mapped, query, "l2")
    truth[0] = np.inf
    assert index.search(query, 4).ids[0].tolist() == np.argsort(truth)[:4].tolist()


@both_metrics
def test_exact_in_many_blocks(metric: Metric, monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = clustered(500, 8)
    whole, parts = ExactIndex(8, metric), ExactIndex(8, metric)
    whole.build(vectors, np.arange(500))
    expected = whole.search(vectors[:70], 11)
    monkeypatch.setattr(kernel, "BLOCK_ENTRIES", 300)  # 37 rows a block
    parts.build(vectors[:300], np.arange(300))
    parts.add(vectors[300:], np.arange(300, 500))
    found = parts.search(vectors[:70], 11)
    assert found.ids.tolist() == expected.ids.tolist()
    np.testing.assert_array_equal(found.distances, expected.distances)
    assert found.distance_computations == 70 * 500


@both_metrics
def test_exact_orders_ties_by_id(metric: Metric) -> None:
    ids = np.random.default_rng(0).permutation(200)
    index = ExactIndex(4, metric)
    index.build(np.ones((200, 4)), ids)
    assert index.search(np.eye(4)[:1], 30).ids[0].tolist() == list(range(30))


@both_metrics
@pytest.mark.parametrize("scale", [1e-42, 1e-20, 1e-3, 1e18, 1e37])
def test_exact_at_every_scale(metric: Metric, scale: float) -> None:
    vectors = (clustered(120, 8).astype(np.float64) * scale).astype(np.float32)
    index = ExactIndex(8, metric)
    index.build(vectors, np.arange(120))
    found = index.search(vectors[:20], 5)
    for query, row, distance in zip(vectors[:20], found.ids, found.distances, strict=True):
        truth = true_distances(vectors, query, metric)
        tiny = float(np.finfo(np.float32).smallest_subnormal) if metric == "l2" else 1e-6
        np.testing.assert_allclose(distance, truth[row], rtol=1e-5, atol=tiny)
        np.testing.assert_allclose(distance, np.sort(truth)[:5], rtol=1e-5, atol=tiny)


def test_exact_tells_near_neighbours_apart_far_from_the_origin() -> None:
    vectors = np.full((1000, 4), 4096, dtype=np.float32)
    vectors[:, 0] += np.arange(1000, dtype=np.float32)[::-1] / 2048  # the finest steps there are
    index = ExactIndex(4)
    index.build(vectors, np.arange(1000))
    assert index.search(vectors[400], 3).ids[0].tolist() == [400, 399, 401]


@pytest.mark.parametrize("name", APPROXIMATE)
def test_too_long_vectors_are_refused(name: str) -> None:
    index = make_index(name, 3, "l2")
    index.build(np.eye(3), [0, 1, 2])
    long = np.full((1, 3), 2 * MAX_NORM)
    with pytest.raises(ArgumentError, match="shorter"):
        index.add(long, [3])
    with pytest.raises(ArgumentError, match="shorter"):
        index.search(long, 1)
    assert index.search(np.eye(3), 1).ids[:, 0].tolist() == [0, 1, 2]


@pytest.mark.parametrize("name", APPROXIMATE)
@both_metrics
def test_recall_on_embeddings(name: str, metric: Metric) -> None:
    vectors, ids = clustered(6000, 32), np.arange(6000)
    exact, index = make_index("exact", 32, metric), make_index(name, 32, metric)
    exact.build(vectors, ids)
    index.build(vectors, ids)
    queries, random = vectors[::60], np.random.default_rng(2)
    far = np.argsort(true_distances(vectors, queries[0], metric))[-600:]
    for allowed in (None, np.flatnonzero(random.random(6000) < 0.1), far, far[:60]):
        truth, found = exact.search(queries, 10, allowed), index.search(queries, 10, allowed)
        assert (found.counts == 10).all()
        assert (found.distances <= truth.distances[:, -1:] * (1 + 1e-5) + 1e-6).mean() >= 0.98


def test_rows_of_equal_vectors_share_a_node() -> None:
    few, many = make_index("hnsw", 16), make_index("hnsw", 16)
    few.build(clustered(50, 16), np.arange(50))
    many.build(np.tile(clustered(50, 16), (100, 1)), np.arange(5000))
    # Ids and tables; a node takes over 200 bytes.
    assert many.memory_bytes() - few.memory_bytes() <= 40 * 4950


@pytest.mark.parametrize("name", APPROXIMATE)
@both_metrics
def test_one_query_is_answered_as_many_are(name: str, metric: Metric) -> None:
    """One query takes a shorter way through the code: ties, shared nodes, removed rows, odd queries."""
    vectors = np.concatenate([np.repeat(clustered(40, 8), 5, axis=0), np.zeros((2, 8), np.float32)])
    vectors = np.concatenate([vectors, clustered(500, 8, seed=3), -np.eye(8, dtype=np.float32)])
    ids = np.random.default_rng(0).permutation(len(vectors)).astype(np.int64)
    index = make_index(name, 8, metric)
    index.build(vectors, ids)
    index.remove(ids[300:340])
    queries = np.concatenate([vectors, np.full((1, 8), 1e17, np.float32)])
    for k in (1, 7, 300):
        many = index.search(queries, k)
        ones = [index.search(query, k) for query in queries]
        same = np.concatenate([one.ids for one in ones]) == many.ids
        same &= np.concatenate([one.distances for one in ones]) == many.distances
        # faiss finds the lists of many queries by products, which may round otherwise.
        assert same.mean() >= (1 if name == "hnsw" else 0.99)
        assert np.concatenate([one.counts for one in ones]).tolist() == many.counts.tolist()
        work = sum(one.distance_computations for one in ones)
        assert work == pytest.approx(many.distance_computations, rel=0 if name == "hnsw" else 0.01)
    for bad in (np.nan, np.inf, 1e30):
        if bad < np.inf and metric == "cosine":
            continue
        with pytest.raises(ArgumentError):
            index.search(np.full(8, bad, dtype=np.float32), 3)


def test_hnsw_is_made_anew_when_most_of_it_is_removed() -> None:
    index = make_index("hnsw", 16)
    vectors = clustered(1000, 16)
    index.build(vectors, np.arange(1000))
    before = index.memory_bytes()
    index.remove(np.arange(900))
    assert index.memory_bytes() < before / 5
    assert index.search(vectors[900:], 1).ids[:, 0].tolist() == list(range(900, 1000))


def test_ivf_filled_row_by_row_gets_its_lists() -> None:
    index = make_index("ivf", 8, probes=2)
    vectors = clustered(2000, 8)
    for start in range(0, 2000, 50):
        index.add(vectors[start : start + 50], np.arange(start, start + 50))
    found = index.search(vectors[:100], 1)
    assert found.ids[:, 0].tolist() == list(range(100))
    assert found.distance_computations < 100 * 2000 / 2


@pytest.mark.parametrize("name", QUANTISED)
def test_full_vectors_stay_in_their_file(name: str, tmp_path: Path) -> None:
    np.save(tmp_path / "v.npy", clustered(5000, 64))
    mapped = np.load(tmp_path / "v.npy", mmap_mode="r")
    index = make_index(name, 64)
    index.build(mapped, np.arange(5000))
    assert index.memory_bytes() < mapped.nbytes / 2
    before = index.search(mapped[:50], 5)
    index.save(tmp_path / "saved")
    loaded = load_index(tmp_path / "saved")
    assert loaded.memory_bytes() == index.memory_bytes()
    found = loaded.search(mapped[:50], 5)
    assert found.ids.tolist() == before.ids.tolist()
    assert found.distances.tolist() == before.distances.tolist()


@pytest.mark.parametrize("name", QUANTISED)
def test_codes_are_learned_anew_when_most_rows_are_new_or_gone(name: str) -> None:
    index = make_index(name, 16, lists=4)
    first, later = clustered(300, 16), 5 + 3 * clustered(1500, 16, seed=7)
    index.build(first, np.arange(300))
    for at in range(0, 1500, 100):
        index.add(later[at : at + 100], np.arange(1000 + at, 1100 + at))
    ids = np.concatenate([np.arange(300), np.arange(1000, 2500)])
    rows = np.concatenate([first, later])
    for gone in (0, 1200):
        index.remove(ids[:gone])
        found = index.search(rows[gone:], 1)
        assert (found.ids[:, 0] == ids[gone:]).mean() >= 0.98


@pytest.mark.parametrize("name", QUANTISED)
def test_codes_follow_rows_that_lie_elsewhere(name: str) -> None:
    """Added rows that do not fit the codes are found as well as if all had been there from the first."""
    first, later = 0.001 * clustered(2000, 16), clustered(1000, 16, seed=4)
    both, ids = np.concatenate([first, later]), np.arange(3000)
    grown, fresh = (make_index(name, 16, lists=8, probes=8, rerank=1) for _ in range(2))
    grown.build(first, ids[:2000])
    for at in range(2000, 3000, 250):
        grown.add(both[at : at + 250], ids[at : at + 250])
    fresh.build(both, ids)
    reach = np.stack([np.sort(true_distances(later, query, "l2"))[9] for query in later])[:, None]
    recalls = [
        (index.search(later, 10).distances <= reach * (1 + 1e-5) + 1e-6).mean() for index in (grown, fresh)
    ]
    assert recalls[0] >= recalls[1] - 0.05


def test_longer_codes_find_more_by_themselves() -> None:
    vectors, queries = clustered(4000, 32), clustered(200, 32, seed=6)
    truth = np.stack([np.sort(true_distances(vectors, query, "l2"))[9] for query in queries])
    recalls = []
    for code_bytes in (2, 4, 16):
        index = make_index("ivf_pq", 32, probes=4000, rerank=1, code_bytes=code_bytes)
        index.build(vectors, np.arange(4000))
        found = index.search(queries, 10)
        recalls.append(float((found.distances <= truth[:, None] * (1 + 1e-5) + 1e-6).mean()))
    assert recalls[0] < recalls[1] < recalls[2]
    with pytest.raises(ArgumentError, match="code_bytes"):
        make_index("ivf_pq", 32, code_bytes=17)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
@pytest.mark.parametrize(
    ("name", "file"),
    [("exact", "vectors.npy"), ("hnsw", "graph.hnswlib"), ("ivf", "lists.faiss"), ("ivf_opq", "vectors.npy")],
)
def test_a_full_disk_is_noticed(name: str, file: str, tmp_path: Path) -> None:
    index = make_index(name, 8)
    index.build(clustered(300, 8), np.arange(300))
    (tmp_path / file).symlink_to("/dev/full")
    with pytest.raises(StorageError):
        index.save(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError):
        index.save(tmp_path / "file")
