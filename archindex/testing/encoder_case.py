"""EncoderCase: what every encoder must do, as tests to inherit.

::

    class TestMyEncoder(EncoderCase):
        def make(self):
            return MyEncoder()
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from archindex.core.batch import GraphBatch
from archindex.core.errors import ArchindexError, CorruptIndexError, IndexMissingError, IndexVersionError
from archindex.core.graph import ArchGraph
from archindex.encoders.base import Encoder
from archindex.encoders.registry import load_encoder

RTOL = 1e-4
ATOL = 1e-4
"""How far vectors may differ where only the order of sums does."""


def random_graph(rng: np.random.Generator) -> ArchGraph:
    """Return a random DAG of 2 to 9 nodes with dead ops, skips, attributes, ports and double edges."""
    n = int(rng.integers(2, 10))
    kinds = ("conv", "conv", "max_pool", "skip", "none", "sub", "concat", "linear", "gat")
    ops = ["input", *(str(rng.choice(kinds)) for _ in range(n - 2)), "output"]
    attrs = [{"kernel": float(rng.choice([1, 3, 5]))} if op == "conv" else {} for op in ops]
    edges = [(s, t, int(rng.integers(3) == 0)) for t in range(n) for s in range(t) if rng.random() < 0.5]
    return ArchGraph(tuple(ops), tuple(edges + edges[:1]), tuple(attrs))


def chain(*ops: str) -> ArchGraph:
    """Return input, `ops` and output in a row."""
    names = ("input", *ops, "output")
    return ArchGraph(names, tuple((i, i + 1, 0) for i in range(len(names) - 1)))


class EncoderCase:
    """Inherit, name the class ``Test...`` and override :meth:`make`; :meth:`graphs` may be overridden."""

    @staticmethod
    def make() -> Encoder:
        """Return a new encoder that has not been fitted, with a small training budget."""
        raise NotImplementedError

    @staticmethod
    def graphs() -> GraphBatch:
        """Return at least 20 graphs, most of them different."""
        rng = np.random.default_rng(0)
        return GraphBatch.from_graphs(random_graph(rng) for _ in range(200))

    @classmethod
    @cache
    def fitted(cls) -> Encoder:
        """Return an encoder that was fitted once, for all tests that leave it as it is."""
        encoder = cls.make()
        encoder.fit(cls.graphs(), seed=0)
        return encoder

    @classmethod
    def vectors(cls, *graphs: ArchGraph) -> npt.NDArray[np.float32]:
        """Return the vectors of some graphs."""
        return cls.fitted().encode(GraphBatch.from_graphs(graphs))

    def test_shape_and_type(self) -> None:
        """One finite float32 vector per graph, and not the same for all."""
        encoder, batch = self.fitted(), self.graphs()
        vectors = encoder.encode(batch)
        assert vectors.shape == (len(batch), encoder.dim)
        assert vectors.dtype == np.float32
        assert np.isfinite(vectors).all()
        assert np.ptp(vectors, axis=0).any(), "all graphs have the same vector"
        assert encoder.name
        assert int(encoder.fingerprint, 16) >= 0

    def test_encoding_twice_gives_the_same(self) -> None:
        """Encoding has no memory."""
        encoder, batch = self.fitted(), self.graphs()
        np.testing.assert_array_equal(encoder.encode(batch), encoder.encode(batch))

    def test_composition_and_order_of_the_batch_do_not_matter(self) -> None:
        """A vector does not depend on what stands beside the graph."""
        encoder, batch = self.fitted(), self.graphs()
        together = encoder.encode(batch)
        alone = np.vstack([encoder.encode(batch.take(i, i + 1)) for i in range(20)])
        np.testing.assert_allclose(alone, together[:20], rtol=RTOL, atol=ATOL)
        mixed = GraphBatch.concat([batch.take(7, 20), GraphBatch.from_graphs([chain("an odd op")])])
        mixed = GraphBatch.concat([mixed, batch.take(0, 7)])
        np.testing.assert_allclose(
            encoder.encode(mixed)[[*range(14, 21), *range(13)]], together[:20], rtol=RTOL, atol=ATOL
        )

    def test_numbering_of_nodes_does_not_matter(self) -> None:
        """Isomorphic graphs have one vector."""
        rng = np.random.default_rng(1)
        before = [self.graphs().graph(i) for i in range(20)]
        after = [g.relabelled([int(v) for v in rng.permutation(g.n_nodes)]) for g in before]
        np.testing.assert_allclose(self.vectors(*after), self.vectors(*before), rtol=RTOL, atol=ATOL)

    def test_dead_ops_and_skips_do_not_matter(self) -> None:
        """Aliases have one vector."""
        plain, skipped = chain("conv", "max_pool"), chain("skip", "conv", "skip", "max_pool")
        dead = ArchGraph(
            (*plain.ops, "none", "conv", "linear"), (*plain.edges, (0, 4, 0), (4, 3, 0), (0, 5, 0), (6, 3, 0))
        )
        a, b, c = self.vectors(plain, skipped, dead)
        np.testing.assert_allclose(b, a, rtol=RTOL, atol=ATOL)
        np.testing.assert_allclose(c, a, rtol=RTOL, atol=ATOL)

    def test_direction_ops_and_attributes_matter(self) -> None:
        """Different functions have different vectors."""
        different = (
            chain("conv", "max_pool"),
            chain("max_pool", "conv"),
            chain("conv", "conv"),
            ArchGraph(
                ("input", "conv", "conv", "output"), ((0, 1, 0), (1, 2, 0), (2, 3, 0)),
                ({}, {"kernel": 5.0}, {"kernel": 5.0}, {}),
            ),
        )  # fmt: skip
        vectors = self.vectors(*different)
        gaps = np.linalg.norm(vectors[:, None] - vectors[None], axis=2)
        assert gaps[~np.eye(len(different), dtype=bool)].min() > 10 * ATOL

    def test_unknown_ops_are_accepted(self) -> None:
        """An op outside the vocabulary is no error."""
        vectors = self.vectors(chain("quantum_layer"), chain("conv", "кольцо", "conv"))
        assert np.isfinite(vectors).all()

    def test_degenerate_graphs_get_finite_vectors(self) -> None:
        """No graph is too small, too deep or too odd; this one has 2^1201 paths."""
        extreme = ArchGraph(
            ("input", "conv", "output"), ((0, 1, 0), (1, 2, 0)),
            ({}, {"kernel": float("inf"), "channels": 1e300, "stride": -1.0, "groups": 0.0}, {}),
        )  # fmt: skip
        ladder = ArchGraph(
            ("input", *("conv",) * 1200, "output"),
            tuple((i, i + 1, p) for i in range(1201) for p in (0, 1)),
        )
        with np.errstate(over="ignore"):  # of float32 attributes, when the graph is packed
            batch = GraphBatch.from_graphs([ArchGraph((), ()), chain("none"), extreme, ladder])
        assert np.isfinite(self.fitted().encode(batch)).all()

    def test_empty_batch(self) -> None:
        """No graphs, no vectors, but the right shape."""
        encoder = self.fitted()
        vectors = encoder.encode(GraphBatch.from_graphs([]))
        assert vectors.shape == (0, encoder.dim)
        assert vectors.dtype == np.float32

    def test_fit_is_decided_by_the_seed(self) -> None:
        """The same seed gives the same encoder, and nothing global plays a part."""
        batch, twin = self.graphs(), self.make()
        np.random.seed(5)  # noqa: NPY002 - the global state must play no part, and stay as it is
        before = np.random.get_state()[1].copy()  # type: ignore[index] # noqa: NPY002
        calls: list[tuple[str, int, int]] = []
        twin.fit(batch, seed=0, progress=lambda *report: calls.append(report))
        assert (np.random.get_state()[1] == before).all()  # type: ignore[index] # noqa: NPY002
        assert twin.fingerprint == self.fitted().fingerprint
        np.testing.assert_array_equal(twin.encode(batch), self.fitted().encode(batch))
        assert all(0 <= done <= total for _, done, total in calls)
        if calls:  # it learns: so another seed gives other weights, and they show
            twin.fit(batch, seed=1)
            assert twin.fingerprint != self.fitted().fingerprint

    def test_save_and_load(self, tmp_path: Path) -> None:
        """What was saved gives the same vectors."""
        encoder, batch = self.fitted(), self.graphs()
        encoder.save(tmp_path / "deep" / "encoder")
        for loaded in (
            load_encoder(tmp_path / "deep" / "encoder"),
            type(encoder).load(tmp_path / "deep/encoder"),
        ):
            assert type(loaded) is type(encoder)
            assert (loaded.name, loaded.dim) == (encoder.name, encoder.dim)
            assert loaded.fingerprint == encoder.fingerprint
            np.testing.assert_array_equal(loaded.encode(batch), encoder.encode(batch))

    def test_nothing_there(self, tmp_path: Path) -> None:
        """A folder without an encoder is told apart from a damaged one."""
        with pytest.raises(IndexMissingError):
            load_encoder(tmp_path)
        with pytest.raises(IndexMissingError):
            load_encoder(tmp_path / "no such folder")

    @pytest.mark.parametrize("content", ["", "{", "[]", "{}", "[" * 100_000, '{"format": 1, "encoder": 3}'])
    def test_description_that_is_none(self, tmp_path: Path, content: str) -> None:
        """Anything but a description is refused."""
        self.fitted().save(tmp_path)
        (tmp_path / "encoder.json").write_text(content)
        with pytest.raises(CorruptIndexError):
            load_encoder(tmp_path)

    @pytest.mark.parametrize(
        ("field", "value", "error"),
        [
            ("fingerprint", "0" * 32, CorruptIndexError),
            ("config", {"dim": 3}, CorruptIndexError),
            ("config", {"dim": -3}, CorruptIndexError),
            ("config", {"no such option": 1}, CorruptIndexError),
            ("format", 10**6, IndexVersionError),
            ("code_version", 10**6, IndexVersionError),
            ("encoder", "no such encoder", ArchindexError),
        ],
    )
    def test_description_that_was_altered(
        self, tmp_path: Path, field: str, value: object, error: type[ArchindexError]
    ) -> None:
        """So is a description that does not fit the content."""
        self.fitted().save(tmp_path)
        path = tmp_path / "encoder.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {field: value}))
        with pytest.raises(error):
            load_encoder(tmp_path)

    def test_weights_that_were_altered(self, tmp_path: Path) -> None:
        """So are weights of which a bit is wrong."""
        self.fitted().save(tmp_path)
        path = tmp_path / "weights.safetensors"
        if not path.exists():
            pytest.skip("an encoder without weights")
        whole = path.read_bytes()
        flipped = bytearray(whole)
        flipped[-3] ^= 1
        for content in (bytes(flipped), whole[: len(whole) // 2], b"", b"not a tensor"):
            path.write_bytes(content)
            with pytest.raises(CorruptIndexError):
                load_encoder(tmp_path)
        path.unlink()
        with pytest.raises(CorruptIndexError):
            load_encoder(tmp_path)
