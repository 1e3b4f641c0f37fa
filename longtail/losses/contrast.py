"""What the supervised contrastive losses share: each anchor against all other anchors and the class prototypes.

The scores are held in one piece where they fit and in blocks of keys where they do not. The gradient is written out, so
that of the anchors by prototypes one matrix is held, and of the anchors by anchors three. The compiler, and a gradient
of the gradient, take the plain formula, which is never in blocks.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

DENSE = 2**26  # scores (anchors times keys) up to which they are held in one piece: 256 MB in float32
BLOCK = 2**22  # scores held at a time above that: 16 MB


def contrast(
    anchors: Tensor,
    prototypes: Tensor,
    classes: Tensor,
    key_weights: Tensor,
    own_weights: Tensor,
    positives: Tensor,
    temperature: float,
) -> Tensor:
    r"""Contrast each anchor with its positives among weighted keys: the other anchors, and the prototypes.

    .. math::
        L_i = \log \sum_{j \neq i} e^{z_i \cdot k_j / \tau + b_{ij}}
              - \frac{1}{|P_i|} \sum_{p \in P_i} z_i \cdot k_p / \tau

    P_i are the keys of i's class other than i. An anchor without any gives 0, and no gradient.

    Shapes: anchors (M, D), prototypes (C, D), classes (M,), labels below 2^24; key_weights (M + C,), b where j is of
    another class than i; own_weights (M,), b where it is of the same; positives (M,), the number |P_i|. Returns (M,).
    The weights get no gradient.
    """
    if len(key_weights) == 0:
        return anchors.sum(1)
    with torch.autocast(anchors.device.type, enabled=False):
        if torch.compiler.is_compiling():  # the compiler fuses what is written out by hand below
            return _plain(anchors, prototypes, classes, key_weights, own_weights, positives, temperature)
        rows: Tensor = _Contrast.apply(anchors, prototypes, classes, key_weights, own_weights, positives, temperature)
    return rows


def _plain(
    anchors: Tensor,
    prototypes: Tensor,
    classes: Tensor,
    key_weights: Tensor,
    own_weights: Tensor,
    positives: Tensor,
    temperature: float,
) -> Tensor:
    """The formula as it stands, for the compiler and for gradients of the gradient."""
    m, c = len(anchors), len(prototypes)
    scores = anchors / temperature @ torch.cat([anchors, prototypes]).T
    own = classes[:, None] == torch.cat([classes, torch.arange(c, device=classes.device)])
    itself = torch.arange(m, device=classes.device)[:, None] == torch.arange(m + c, device=classes.device)
    weighted = scores + torch.where(own, own_weights[:, None], key_weights)
    log_sum = weighted.masked_fill(itself, torch.finfo(scores.dtype).min).logsumexp(1)
    pull = (scores * (own & ~itself)).sum(1)
    return torch.where(positives > 0, log_sum - pull / positives.clamp(min=1), 0)


class _Contrast(torch.autograd.Function):
    """`_plain`, with its gradient written out."""

    @staticmethod
    def forward(
        ctx: Any,
        anchors: Tensor,
        prototypes: Tensor,
        classes: Tensor,
        key_weights: Tensor,
        own_weights: Tensor,
        positives: Tensor,
        temperature: float,
    ) -> Tensor:
        m, count = len(anchors), len(key_weights)
        scaled = anchors / temperature
        pull = torch.zeros_like(own_weights)
        softmax = None
        if m * count <= DENSE:
            scores = anchors.new_empty(m, count)
            blocks = list(_blocks(classes, anchors, prototypes, count))
            for block in blocks:
                pull += block.score(scaled, key_weights, own_weights, scores[:, block.columns])
            top = scores.amax(1)
            softmax = torch.softmax(scores, 1, out=scores)
            log_sum = top - softmax.amax(1).log()  # the largest probability is at least one over the number of keys
            for block in blocks:
                block.add_to_positives(softmax[:, block.columns], -1 / positives.clamp(min=1))
        else:
            log_sum = torch.full_like(own_weights, -torch.inf)
            for block in _blocks(classes, anchors, prototypes, BLOCK // m):
                scores = anchors.new_empty(m, len(block.keys))
                pull += block.score(scaled, key_weights, own_weights, scores)
                top = scores.amax(1)
                part = scores.sub_(top[:, None]).exp_().sum(1).log() + top
                log_sum = torch.logaddexp(log_sum, part)
        ctx.save_for_backward(anchors, prototypes, classes, key_weights, own_weights, positives, softmax, log_sum)
        ctx.temperature = temperature
        return torch.where(positives > 0, log_sum - pull / positives, 0)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # torch gives ctx no type
        anchors, prototypes, classes, key_weights, own_weights, positives, softmax, log_sum = ctx.saved_tensors
        if torch.is_grad_enabled():  # a gradient of the gradient is wanted
            again = _plain(anchors, prototypes, classes, key_weights, own_weights, positives, ctx.temperature)
            inputs = [tensor for tensor in (anchors, prototypes) if tensor.requires_grad]
            gradients = iter(torch.autograd.grad(again, inputs, gradient, create_graph=True))
            return *(next(gradients) if tensor.requires_grad else None for tensor in (anchors, prototypes)), *[None] * 5
        m = len(anchors)
        rows = torch.where(positives > 0, gradient / ctx.temperature, 0)[:, None]
        weighted = anchors * rows
        with torch.autocast(anchors.device.type, enabled=False):
            if softmax is not None:
                among = softmax[:, :m] * rows
                # an anchor is also a key: one product for both, by the sum with the transpose
                to_anchors = among.T.contiguous().add_(among) @ anchors
                to_anchors += (softmax[:, m:] @ prototypes).mul_(rows)
                to_prototypes = softmax[:, m:].T @ weighted if ctx.needs_input_grad[1] else None
            else:
                to_anchors, to_prototypes = torch.zeros_like(anchors), torch.empty_like(prototypes)
                scaled = anchors / ctx.temperature
                for block in _blocks(classes, anchors, prototypes, BLOCK // m):
                    scores = anchors.new_empty(m, len(block.keys))
                    block.score(scaled, key_weights, own_weights, scores)
                    scores.sub_(log_sum[:, None]).exp_()
                    block.add_to_positives(scores, -1 / positives.clamp(min=1))
                    to_anchors += (scores @ block.keys).mul_(rows)
                    if isinstance(block, _Anchors):
                        to_anchors[block.columns] += scores.T @ weighted
                    else:
                        torch.mm(
                            scores.T, weighted, out=to_prototypes[block.columns.start - m : block.columns.stop - m]
                        )
        return to_anchors, to_prototypes, None, None, None, None, None


class _Block:
    """Some of the keys: their columns among all keys, and which of them are positives of which anchor."""

    def __init__(self, keys: Tensor, start: int) -> None:
        self.keys, self.columns = keys, slice(start, start + len(keys))

    def score(self, scaled: Tensor, key_weights: Tensor, own_weights: Tensor, out: Tensor) -> Tensor:
        """Write the weighted scores (M, B) of the anchors; return the sum (M,) of the positives' unweighted ones."""
        torch.mm(scaled, self.keys.T, out=out)
        pull = self.sum_of_positives(out)
        out += key_weights[self.columns]
        self.add_to_positives(out, own_weights - key_weights[: len(scaled)])
        return pull

    def sum_of_positives(self, scores: Tensor) -> Tensor:
        raise NotImplementedError

    def add_to_positives(self, scores: Tensor, value: Tensor) -> None:
        """Add an anchor's value (M,) to the scores (M, B) of its positives, in place."""
        raise NotImplementedError


class _Anchors(_Block):
    """Anchors as keys. An anchor is no key of its own."""

    def __init__(self, keys: Tensor, start: int, classes: Tensor) -> None:
        super().__init__(keys, start)
        # compared as floats, which hold every label below 2^24, into a float: many times as fast as by way of bool
        labels = classes.to(keys.dtype)
        self.same = torch.eq(labels[:, None], labels[self.columns], out=keys.new_empty(len(classes), len(keys)))
        self.same[self.columns].fill_diagonal_(0)

    def score(self, scaled: Tensor, key_weights: Tensor, own_weights: Tensor, out: Tensor) -> Tensor:
        pull = super().score(scaled, key_weights, own_weights, out)
        out[self.columns].fill_diagonal_(torch.finfo(out.dtype).min)
        return pull

    def sum_of_positives(self, scores: Tensor) -> Tensor:
        return (scores * self.same).sum(1)

    def add_to_positives(self, scores: Tensor, value: Tensor) -> None:
        scores.addcmul_(self.same, value[:, None])


class _Prototypes(_Block):
    """Prototypes as keys: each anchor has one positive among all of them."""

    def __init__(self, keys: Tensor, start: int, own: Tensor) -> None:
        super().__init__(keys, start)
        inside = (own >= 0) & (own < len(keys))
        self.own = torch.where(inside, own, 0)[:, None]
        self.inside = inside.to(keys.dtype)

    def sum_of_positives(self, scores: Tensor) -> Tensor:
        return scores.gather(1, self.own).squeeze(1) * self.inside

    def add_to_positives(self, scores: Tensor, value: Tensor) -> None:
        scores.scatter_add_(1, self.own, (value * self.inside)[:, None])


def _blocks(classes: Tensor, anchors: Tensor, prototypes: Tensor, size: int) -> Iterator[_Anchors | _Prototypes]:
    """All keys in blocks of at most ``size``, none of which holds both kinds."""
    size = max(1, size)
    for start in range(0, len(anchors), size):
        yield _Anchors(anchors[start : start + size], start, classes)
    for start in range(0, len(prototypes), size):
        yield _Prototypes(prototypes[start : start + size], len(anchors) + start, classes - start)
