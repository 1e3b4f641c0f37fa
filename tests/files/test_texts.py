"""Many texts in one block, and what is asked of them."""

import pickle

import numpy as np
import pytest

from longtail.files import texts
from longtail.files.members import Member, Members, folders_of, member_names
from longtail.files.states import file_sizes
from longtail.files.texts import Block, all_but, at_rows, places_of, repeated

ODD = ["a/b.jpg", "", "ä/猫.jpg", "b\0.jpg", "\udcff \ud800", "a/b.jpg", "x" * 30]


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(texts, "_CHUNK", 2)


def test_a_block_is_as_a_list() -> None:
    block = Block.of(iter(ODD))
    assert block == ODD
    assert [block[row] for row in range(-7, 7)] == ODD * 2
    assert (block[1:6:2], block[::-1], block[9:]) == (ODD[1:6:2], ODD[::-1], [])
    assert block != ODD[:-1]
    assert block != [*ODD[:-1], "y"]
    assert Block.of(block) is block
    assert Block.of([]) == []
    assert block.blank().tolist() == [1]
    with pytest.raises(IndexError):
        block[7]


def test_rows_of_a_block_share_it_and_are_sent_alone() -> None:
    block = Block.of(ODD)
    part = block.take(np.array([6, 0, 3]))
    assert part == [ODD[6], ODD[0], ODD[3]]
    assert part.block is block.block
    copy = pickle.loads(pickle.dumps(part))
    assert copy == part
    assert len(copy.block) < len(block.block)
    assert Block.joined([part, Block.of([]), block]) == [*part, *ODD]


def test_prefixes() -> None:
    whole = Block.of(ODD).prefixed("dé/")
    assert whole == [f"dé/{text}" for text in ODD]
    assert whole.take(np.array([0, 2, 1])).without("dé/") == [ODD[0], ODD[2], ODD[1]]
    assert whole.without("de/") is None
    assert Block.of(["p/a", "p/b", "q/c"]).without("p/") is None
    assert Block.of(["p/ap/", "p/p/"]).without("p/") == ["ap/", "p/"]


@pytest.mark.parametrize("names", [[], ["a"], ["a", "", "ä"], ["", ""], ["a\udcff", "b"]])
def test_lines(names: list[str]) -> None:
    assert Block.of_lines("\0".join(names).encode("utf-8", "surrogateescape")) == names


@pytest.mark.parametrize("one_hash", [False, True])
def test_texts_that_come_again(monkeypatch: pytest.MonkeyPatch, one_hash: bool) -> None:
    if one_hash:
        monkeypatch.setattr(texts, "_hashes", lambda block: np.zeros(len(block), dtype=np.int64))
    assert repeated(Block.of(ODD)) == [0, 5]
    assert repeated(["a", "b"]) == []
    assert places_of(["b", "no", "a"], Block.of(["a", "c", "b"])).tolist() == [2, -1, 0]
    assert places_of(["a"], ["a", "a"]).tolist() == [1], "the last of several"
    assert places_of(["a"], []).tolist() == [-1]
    assert places_of([], ["a"]).tolist() == []


def test_rows() -> None:
    assert all_but([1, 3], 5).tolist() == [0, 2, 4]
    assert all_but([], 2).tolist() == [0, 1]
    assert at_rows(["a", "b"], np.array([1, 0])) == ["b", "a"]


def test_paths_in_shards_are_made_as_they_are_asked_for() -> None:
    shards = ["s/a-0.tar", "s/a-1.tar"]
    names = ["x/1.jpg", "x/1.jpg", "ä.jpg"]
    rows, starts, ends = np.array([0, 1, 1]), np.array([512, 512, 2048]), np.array([600, 700, 2050])
    members = Members(shards, rows, starts, ends, Block.of(names))
    paths = [str(Member(shards[s], b, e, name)) for s, b, e, name in zip(rows, starts, ends, names, strict=True)]
    assert members == paths
    assert members.take(np.array([2, 0])) == [paths[2], paths[0]]
    assert file_sizes(members).tolist() == file_sizes(paths).tolist() == [88, 188, 2]
    assert folders_of(members) == {"s"}
    for part in (members, paths):
        assert member_names(part) == ["a-0.tar/x/1.jpg", "a-1.tar/x/1.jpg", "a-1.tar/ä.jpg"], "of one name in two"
        assert member_names(part[1:]) == names[1:]
