"""Mixed images and labels, by images that are one number each, which tells what they were made of."""

import pytest
import torch

from longtail.augment.mixing import CMO, CutMix, Mixing, MixUp, Remix

from .conftest import seeded

N, SIDE = 40, 8
COUNTS = torch.tensor([300, 100, 30, 10, 9, 3, 1, *[1] * (N - 7)])


def number_images(n: int = N, *shape: int) -> torch.Tensor:
    """Image i is i all over."""
    return torch.arange(float(n)).view(-1, *[1] * (len(shape) or 3)).expand(n, *(shape or (3, SIDE, SIDE)))


def pair(soft: torch.Tensor, i: int, j: int | None = None) -> tuple[int, float]:
    """Label that image i was mixed with, and what its own label has kept."""
    partners = [c for c in soft.nonzero().flatten().tolist() if c != i]
    return (partners[0] if partners else i), float(soft[i])


def test_mixup_mixes_pixels_as_labels() -> None:
    mixture, soft = MixUp()(number_images(), torch.arange(N), COUNTS, seeded())
    for i in range(N):
        value = sum(float(soft[i, c]) * c for c in range(N))
        torch.testing.assert_close(mixture[i], torch.full((3, SIDE, SIDE), value))
    shares = soft.diagonal()
    assert 0.3 < shares.mean() < 0.7
    assert len(shares.unique()) > N // 2, "a draw for every image"


@pytest.mark.parametrize("shape", [(3, SIDE, SIDE), (3, 4, SIDE, SIDE)], ids=["images", "clips"])
def test_cutmix_pastes_one_box_and_labels_follow_its_size(shape: tuple[int, ...]) -> None:
    mixture, soft = CutMix()(number_images(N, *shape), torch.arange(N), COUNTS, seeded())
    for i in range(N):
        j, share = pair(soft[i], i)
        frames = mixture[i].reshape(-1, SIDE, SIDE)
        assert all(torch.equal(frame, frames[0]) for frame in frames)
        box = (frames[0] == j).nonzero() if j != i else torch.zeros(0, 2)
        assert share == pytest.approx(1 - len(box) / SIDE**2)
        if len(box):
            (top, left), (bottom, right) = box.amin(0).tolist(), box.amax(0).tolist()
            assert len(box) == (bottom - top + 1) * (right - left + 1)


def test_the_box_has_the_share_that_was_drawn_unless_it_is_cut() -> None:
    shares = torch.full((500,), 0.75)  # half of each side
    _, weights = CutMix().blend(number_images(500), number_images(500) + 1, shares, seeded())
    assert weights.min() == 0.75
    assert weights.max() == 1 - 2 * 2 / 64, "the centre is in a corner"


def test_remix_gives_the_label_to_the_rarer_class() -> None:
    mix, cases = Remix(kappa=3, tau=0.5), set()
    images, targets = number_images().clone(), torch.arange(N)
    for seed in range(20):
        mixture, soft = mix(images, targets, COUNTS, seeded(seed))
        plain, even = MixUp()(images, targets, COUNTS, seeded(seed))
        assert torch.equal(mixture, plain)
        for i in range(N):
            j, share = pair(even[i], i)
            n_i, n_j = int(COUNTS[i]), int(COUNTS[j])
            if n_i / n_j >= 3 and share < 0.5:
                weight, case = 0.0, "partner"
            elif n_i / n_j <= 1 / 3 and 1 - share < 0.5:
                weight, case = 1.0, "own"
            else:
                weight, case = share, "both"
            cases.add(case)
            assert float(soft[i, i]) == pytest.approx(weight)
            assert float(soft[i].sum()) == pytest.approx(1)
    assert cases == {"partner", "own", "both"}


def test_cmo_pastes_the_second_half_over_the_first() -> None:
    mixture, soft = CMO(p=1)(number_images(2 * N), torch.arange(2 * N), torch.ones(2 * N), seeded())
    assert mixture.shape == (N, 3, SIDE, SIDE)
    assert soft.shape == (N, 2 * N)
    for i in range(N):
        assert set(mixture[i].unique().tolist()) <= {i, N + i}
        assert float(soft[i, N + i]) == pytest.approx(float((mixture[i] == N + i).float().mean()))


@pytest.mark.parametrize("mixing", [MixUp, CutMix, Remix, CMO])
def test_what_holds_for_all(mixing: type[Mixing]) -> None:
    rows = torch.randn(12, 3, 5, 7, generator=seeded()), torch.arange(12) % 4
    copy = rows[0].clone()
    mixture, soft = mixing()(*rows, COUNTS[:4], seeded(3))
    rerun = mixing()(*rows, COUNTS[:4], seeded(3))
    assert torch.equal(mixture, rerun[0])
    assert torch.equal(soft, rerun[1])
    assert torch.equal(rows[0], copy), "images are not modified"
    assert not torch.equal(mixture, mixing()(*rows, COUNTS[:4], seeded(4))[0])
    torch.testing.assert_close(soft.sum(1), torch.ones(len(mixture)))
    assert soft.min() >= 0
    identity, labels = mixing(p=0)(*rows, COUNTS[:4], seeded())
    assert torch.equal(identity, copy[: len(mixture)])
    assert torch.equal(labels.argmax(1), rows[1][: len(mixture)])
    assert labels.amax() == 1
    empty, labels = mixing()(rows[0][:0], rows[1][:0], COUNTS[:4], seeded())
    assert (len(empty), labels.shape) == (0, (0, 4))
    with pytest.raises(ValueError, match=r"expected float images, got torch\.uint8: mix after the views"):
        mixing()(rows[0].byte(), rows[1], COUNTS[:4], seeded())
    with pytest.raises(ValueError, match="alpha"):
        mixing(alpha=0)
    with pytest.raises(ValueError, match="expected p in"):
        mixing(p=1.5)


def test_options_of_the_tail_are_checked() -> None:
    with pytest.raises(ValueError, match="expected kappa"):
        Remix(kappa=0.5)
    with pytest.raises(ValueError, match="expected r as a finite number"):
        CMO(r=float("inf"))
    assert (CMO().power, CMO(r=0).power, MixUp.power) == (0, 1, None)
