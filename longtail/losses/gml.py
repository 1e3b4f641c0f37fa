"""Gaussian mixture likelihood loss."""

import math
from typing import Any

import torch
from torch import Tensor, nn

from longtail.checks import check_integers, check_shape, check_targets, check_temperature
from longtail.counts import Counts, log_prior
from longtail.losses.base import FromCounts, Loss, full_precision

KEPT = 2**26  # scores (queries times keys) up to which their gradient is kept for backward: 256 MB in float32
BLOCK = 2**22  # scores worked on at a time: 16 MB


class GaussianMixtureLoss(FromCounts, Loss):
    r"""Contrastive loss whose classes are Gaussian mixtures with a component for every key; mutual information of
    features and labels.

    With the keys k_j of class c, K_c of them:

    .. math::
        S(q_i, c) = \log \frac{1}{K_c} \sum_{j \in c} e^{q_i \cdot k_j / \tau}, \qquad
        L_i = \mathrm{CE}(S(q_i, \cdot) + \log p, y_i) + \mathrm{CE}(S'(q_i, \cdot) + \log p, y_i)

    p is the class prior of the training set. The first term keeps the sample's own key and trains the embeddings; tau
    is constant in it. The second, S', leaves out the keys with the sample's id, which K_c does not count either; it
    trains tau alone. A class without keys has no part in the sums; a query of such a class gives 0 (and 0 in the second
    term if its own key is the only one).

    Shapes: queries (M, D), L2-normalised; targets (M,); keys (K, D), L2-normalised; key_targets (K,), -1 where a slot
    is empty; ids (M,) and key_ids (K,), int64, the number of the training sample. Without ids no key is left out.
    Returns a scalar, or (M,) with ``reduction="none"``. An empty batch gives 0. Computed in float32 under autocast, in
    blocks of queries. The gradient cannot be differentiated again.

    Args:
        class_counts: training images of each class (C,), all positive.
        temperature: tau at the start, positive. It is learned through its logarithm, the parameter
            ``log_temperature``; leave that out of weight decay.
        reduction: "mean" or "none".

    Raises:
        ValueError: on counts or a temperature that are not positive, a wrong shape, a label outside 0..C-1 (-1..C-1
            for a key), or ids of one side alone.

    Source: Suh and Seo, Long-tailed recognition by mutual information maximization between latent features and
    ground-truth labels, ICML 2023, section 3; the second term as in the released code.
    """

    no_weight_decay = frozenset({"log_temperature"})
    log_prior: Tensor

    def __init__(self, class_counts: Counts, temperature: float = 0.1, reduction: str = "mean") -> None:
        super().__init__(reduction)
        check_temperature(temperature)
        self.log_temperature = nn.Parameter(torch.tensor(math.log(temperature)))
        self.register_buffer("log_prior", log_prior(class_counts), persistent=False)

    @property
    def temperature(self) -> Tensor:
        """tau, as learned so far."""
        return self.log_temperature.exp()

    def forward(
        self,
        queries: Tensor,
        targets: Tensor,
        keys: Tensor,
        key_targets: Tensor,
        ids: Tensor | None = None,
        key_ids: Tensor | None = None,
    ) -> Tensor:
        queries = check_shape("queries", queries, "M", "D")
        device = queries.device
        keys = check_shape("keys", keys, "K", queries.shape[1], device=device)
        num_classes = len(self.log_prior)
        targets = check_targets(targets, len(queries), num_classes, device=device)
        key_targets = check_targets(key_targets, len(keys), num_classes, name="key_targets", low=-1, device=device)
        if ids is None or key_ids is None:
            if ids is not key_ids:
                raise ValueError("ids and key_ids must be given together, got one of them")
            ids, key_ids = torch.zeros_like(targets), key_targets.new_full(key_targets.shape, -1)
        ids = check_integers("ids", ids, len(queries), device=device)
        key_ids = check_integers("key_ids", key_ids, len(keys), device=device)

        dtype = torch.promote_types(full_precision(queries).dtype, full_precision(keys).dtype)
        counts = torch.zeros(num_classes + 1, dtype=dtype, device=keys.device)
        counts = counts.index_add(0, key_targets + 1, torch.ones_like(key_targets, dtype=dtype))
        weights = torch.cat([counts.new_full((1,), -torch.inf), self.log_prior.to(dtype) - counts[1:].log()])
        weights = weights[key_targets + 1].clamp(min=torch.finfo(dtype).min)  # (K,) log p_c / K_c, lowest where empty
        with torch.autocast(queries.device.type, enabled=False):
            rows: Tensor = _Mixture.apply(
                queries.to(dtype), keys.to(dtype), self.log_temperature.to(dtype),
                targets, key_targets, ids, key_ids, weights, counts[targets + 1],
            )  # fmt: skip
        return self.reduce(rows)


class _Mixture(torch.autograd.Function):
    """Both terms and their gradients, as the classes' sums need no step between the keys and the rows: the first is
    -log sum_{j in y} w_j e^{s_ij} + log sum_j w_j e^{s_ij}, with w_j = p_c / K_c."""

    @staticmethod
    def forward(
        ctx: Any,
        queries: Tensor,
        keys: Tensor,
        log_temperature: Tensor,
        targets: Tensor,
        key_targets: Tensor,
        ids: Tensor,
        key_ids: Tensor,
        weights: Tensor,
        own_counts: Tensor,
    ) -> Tensor:
        rows, to_temperature = torch.zeros_like(own_counts), torch.zeros_like(own_counts)
        keep = any(ctx.needs_input_grad[:2]) and len(queries) * len(keys) <= KEPT
        gradient = queries.new_empty(len(queries), len(keys)) if keep else None
        for block in _blocks(queries, keys):
            scores, weighted, own = _scores(block, queries, keys, log_temperature, targets, key_targets, weights)
            slope, rows[block] = _contrast(weighted, own)
            if gradient is not None:
                gradient[block] = slope
            mine = own & (ids[block, None] == key_ids)  # the sample's own keys
            left = own_counts[block] - mine.sum(1)
            shift = (own_counts[block].clamp(min=1) / left.clamp(min=1)).log()[:, None]
            weighted = (weighted + own * shift).masked_fill_(mine, torch.finfo(weighted.dtype).min)
            other, second = _contrast(weighted, own & ~mine)
            rows[block] += second
            to_temperature[block] = -(other * scores).sum(1)
        ctx.save_for_backward(queries, keys, log_temperature, targets, key_targets, weights, gradient, to_temperature)
        return rows

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, rows: Tensor) -> tuple[Tensor | None, ...]:  # torch gives ctx no type
        *parts, gradient, to_temperature = ctx.saved_tensors
        queries, keys, log_temperature, *_ = parts
        scale = (rows / log_temperature.exp())[:, None]
        with torch.autocast(queries.device.type, enabled=False):
            if gradient is not None:
                to_queries = (gradient @ keys).mul_(scale)
                to_keys = gradient.T @ (queries * scale) if ctx.needs_input_grad[1] else None
            else:
                to_queries, to_keys = torch.empty_like(queries), torch.zeros_like(keys)
                for block in _blocks(queries, keys):
                    _, weighted, own = _scores(block, *parts)
                    part, _ = _contrast(weighted, own)
                    to_queries[block] = (part @ keys).mul_(scale[block])
                    to_keys.addmm_(part.T, queries[block] * scale[block])
        return to_queries, to_keys, rows @ to_temperature, None, None, None, None, None, None


def _blocks(queries: Tensor, keys: Tensor) -> list[slice]:
    size = max(1, BLOCK // max(1, len(keys)))
    return [slice(start, start + size) for start in range(0, len(queries), size)]


def _scores(
    block: slice,
    queries: Tensor,
    keys: Tensor,
    log_temperature: Tensor,
    targets: Tensor,
    key_targets: Tensor,
    weights: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    """Scores (m, K) of a block of queries, the same with the logarithm of the weights, and which keys are of the
    query's class."""
    scores = (queries[block] / log_temperature.exp()) @ keys.T
    return scores, scores + weights, targets[block, None] == key_targets


def _contrast(weighted: Tensor, own: Tensor) -> tuple[Tensor, Tensor]:
    """Gradient (m, K) and value (m,) of log sum exp over all keys less that over the own; 0 where there are none."""
    known = own.any(1)
    if weighted.shape[1] == 0:
        return weighted, torch.zeros_like(known, dtype=weighted.dtype)
    among = weighted.masked_fill(~own, torch.finfo(weighted.dtype).min)
    of_all, of_own = weighted.softmax(1), among.softmax(1)
    # log sum exp from what the softmax made: its largest value is e^top / sum, and at least 1 / K
    value = weighted.amax(1) - of_all.amax(1).log() - among.amax(1) + of_own.amax(1).log()
    return of_all.sub_(of_own).mul_(known[:, None]), torch.where(known, value, 0)
