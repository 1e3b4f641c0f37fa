"""What every loss keeps to."""

import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch
from discovery import losses
from torch import Tensor

import longtail.losses
from longtail.checks import set_debug
from longtail.losses.base import Loss

from .contracts import DETACHED, Case, cases, floats, with_grad

every_case = pytest.mark.parametrize("case", cases(), ids=str)
every_case_of_one_label = pytest.mark.parametrize("case", [case for case in cases() if not case.several()], ids=str)
every_case_of_several = pytest.mark.parametrize("case", [case for case in cases() if case.several()], ids=str)
half_types = pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)


def assert_finite(value: Tensor, inputs: dict[str, Tensor]) -> None:
    """The value and its gradient with respect to every float input are finite."""
    assert value.isfinite().all()
    value.sum().backward()
    for name, tensor in floats(inputs).items():
        assert tensor.grad is not None, name
        assert tensor.grad.isfinite().all(), name


def test_every_loss_is_exported() -> None:
    assert {loss.__name__ for loss in losses()} == set(longtail.losses.__all__)


@pytest.mark.parametrize("loss", losses(), ids=lambda loss: loss.__name__)
def test_it_is_made_from_class_counts(loss: type[Loss]) -> None:
    instance = loss.from_counts([50, 10, 2], reduction="none")
    assert type(instance) is loss
    assert instance.reduction == "none"
    mean = instance.with_reduction("mean")
    assert (instance.reduction, mean.reduction) == ("none", "mean")
    assert all(parameter is twin for parameter, twin in zip(instance.parameters(), mean.parameters(), strict=True))
    assert all(buffer is twin for buffer, twin in zip(instance.buffers(), mean.buffers(), strict=True))


def with_labels(case: Case, inputs: dict[str, Tensor], label: int) -> dict[str, Tensor]:
    """The same inputs, every row of one class."""
    if case.several():
        return inputs | {"labels": torch.zeros_like(inputs["labels"]).index_fill(1, torch.tensor(label), 1)}
    return {
        name: torch.full_like(value, label)
        if case.kind(name).row_axis is not None and case.kind(name).labels
        else value
        for name, value in inputs.items()
    }


@every_case
@pytest.mark.parametrize("rows", [0, 1, 6])
@pytest.mark.parametrize("classes", [1, 4])
def test_value_and_gradient_are_finite(case: Case, rows: int, classes: int) -> None:
    inputs = with_grad(case.inputs(rows, classes))
    value = case.make(classes)(**inputs)
    assert value.shape == ()
    if rows == 0:
        assert value == 0
    assert_finite(value, inputs)


@every_case
def test_a_batch_of_one_class_is_finite(case: Case) -> None:
    inputs = with_labels(case, with_grad(case.inputs()), 2)
    assert_finite(case.make()(**inputs), inputs)


@every_case
@pytest.mark.parametrize("rows", [0, 1, 6])
def test_the_mean_is_the_mean_of_the_rows(case: Case, rows: int) -> None:
    inputs = case.inputs(rows)
    values = case.make(reduction="none")(**inputs)
    assert values.ndim == 1
    views = 2 if "embeddings" in inputs and "logits" not in inputs else 1
    assert len(values) == views * rows
    if rows:
        torch.testing.assert_close(case.make()(**inputs), values.mean())


@every_case
def test_the_order_of_the_rows_does_not_matter(case: Case) -> None:
    inputs = case.inputs()
    order = torch.tensor([3, 5, 0, 1, 4, 2])
    permutation = {
        name: value if (axis := case.kind(name).row_axis) is None else value.index_select(axis, order)
        for name, value in inputs.items()
    }
    torch.testing.assert_close(case.make()(**permutation), case.make()(**inputs))
    values = case.make(reduction="none")(**inputs)
    permuted_values = case.make(reduction="none")(**permutation)
    torch.testing.assert_close(permuted_values, values.unflatten(0, (6, -1))[order].flatten())


@every_case
def test_the_names_of_the_classes_do_not_matter(case: Case) -> None:
    inputs = case.inputs()
    order = torch.tensor([2, 0, 3, 1])
    permutation = {
        name: value if (axis := case.kind(name).class_axis) is None else value.index_select(axis, order)
        for name, value in inputs.items()
    }
    for name, value in inputs.items():
        if case.kind(name).labels:
            permutation[name] = order.argsort()[value]
    values = case.make(reduction="none")(**inputs)
    torch.testing.assert_close(case.make(order=order, reduction="none")(**permutation), values)


@every_case
@half_types
def test_half_precision_inputs(case: Case, dtype: torch.dtype) -> None:
    inputs = with_grad(case.inputs(), dtype)
    value = case.make()(**inputs)
    assert value.dtype == torch.float32, "logarithms and sums belong in float32"
    assert_finite(value, inputs)


@every_case
@half_types
def test_autocast(case: Case, dtype: torch.dtype) -> None:
    inputs = with_grad(case.inputs())
    with torch.autocast("cpu", dtype):
        value = case.make()(**inputs)
    assert value.dtype == torch.float32
    assert_finite(value, inputs)


@every_case
@half_types
def test_a_loss_cast_with_its_model(case: Case, dtype: torch.dtype) -> None:
    inputs = with_grad(case.inputs(), dtype)
    value = case.make().to(dtype)(**inputs)
    assert value.dtype == torch.float32
    assert_finite(value, inputs)


@every_case
def test_gradient_is_the_numerical_one(case: Case) -> None:
    if case.loss.__name__ in DETACHED:
        pytest.skip("part of it is constant for the gradient: its own test compares that")
    inputs = with_grad(case.inputs(3), torch.float64)
    loss = case.make(reduction="none").eval()

    def function(*values: Tensor) -> Tensor:
        return loss(**inputs | dict(zip(floats(inputs), values, strict=True)))

    assert torch.autograd.gradcheck(function, tuple(floats(inputs).values()))


@every_case
def test_state_dict_and_pickle(case: Case) -> None:
    inputs, loss = case.inputs(), case.make()
    copy = case.make()
    copy.load_state_dict(loss.state_dict())
    assert torch.equal(copy(**inputs), loss(**inputs))
    assert torch.equal(pickle.loads(pickle.dumps(loss))(**inputs), loss(**inputs))


@every_case
def test_an_unknown_reduction_is_refused(case: Case) -> None:
    with pytest.raises(ValueError, match="reduction must be"):
        case.make(reduction="sum")


@every_case
def test_wrong_ranks_and_lengths_are_refused(case: Case) -> None:
    inputs, loss = case.inputs(), case.make()
    for name, value in inputs.items():
        with pytest.raises(ValueError, match=f"{name} must have shape"):
            loss(**inputs | {name: value[None]})
        with pytest.raises(ValueError, match="must have shape"):
            loss(**inputs | {name: value.sum()})
        if case.kind(name).row_axis is not None:
            with pytest.raises(ValueError, match="must have shape"):
                loss(**inputs | {name: value[1:]})


@every_case_of_one_label
@pytest.mark.parametrize("label", [-1, 4, -100])
def test_labels_outside_the_classes_are_refused(case: Case, label: int) -> None:
    inputs = case.inputs()
    inputs["targets"][3] = label
    if label > 0 and not case.knows_classes():
        case.make()(**inputs)
    else:
        with pytest.raises(ValueError, match=r"targets must lie in 0\.\.(3|C - 1), got"):
            case.make()(**inputs)


@every_case_of_one_label
@pytest.mark.parametrize("dtype", [torch.float32, torch.bool, torch.uint8, torch.int32], ids=str)
def test_labels_that_are_no_class_indices_are_refused(case: Case, dtype: torch.dtype) -> None:
    inputs = case.inputs()
    with pytest.raises(ValueError, match=r"targets must be int64, got dtype"):
        case.make()(**inputs | {"targets": inputs["targets"].to(dtype)})


@every_case_of_several
@pytest.mark.parametrize("label", [-1, 2, -100])
def test_labels_that_are_neither_0_nor_1_are_refused(case: Case, label: int) -> None:
    inputs = case.inputs()
    inputs["labels"][3, 1] = label
    with pytest.raises(ValueError, match=f"labels must be 0 or 1, got {label}"):
        case.make()(**inputs)


@every_case_of_several
@pytest.mark.parametrize("dtype", [torch.float32, torch.bool, torch.uint8, torch.float16], ids=str)
def test_labels_of_0_and_1_of_any_type_are_the_same(case: Case, dtype: torch.dtype) -> None:
    inputs = case.inputs()
    value = case.make()(**inputs | {"labels": inputs["labels"].to(dtype)})
    assert torch.equal(value, case.make()(**inputs))


@every_case_of_several
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("value", [1e4, -1e4])
def test_logits_far_from_0_have_finite_values_and_gradients(case: Case, dtype: torch.dtype, value: float) -> None:
    labels = torch.tensor([[0, 0, 0, 0], [1, 1, 1, 1], [0, 1, 0, 1]])
    inputs = with_grad({"logits": torch.full((3, 4), value), "labels": labels}, dtype)
    assert_finite(case.make()(**inputs), inputs)


FORMS = {
    "lists": lambda tensor: tensor.tolist(),
    "arrays": lambda tensor: tensor.numpy(),
    "dict.values()": lambda tensor: dict(enumerate(tensor.tolist())).values(),
}


@every_case
@pytest.mark.parametrize("form", FORMS.values(), ids=list(FORMS))
def test_what_torch_makes_a_tensor_of_does_as_well(case: Case, form: Callable[[Tensor], Any]) -> None:
    """The right value is that of the tensors; of tensors the rest of these tests know it."""
    inputs = case.inputs()
    arguments = {name: form(value) for name, value in inputs.items()}
    assert torch.equal(case.make()(**arguments), case.make()(**inputs))


@pytest.mark.parametrize("loss", losses(), ids=lambda loss: loss.__name__)
@pytest.mark.parametrize("form", FORMS.values(), ids=list(FORMS))
def test_class_counts_of_any_form(loss: type[Loss], form: Callable[[Tensor], Any]) -> None:
    counts = torch.tensor([50, 10, 2])
    instance, reference = loss.from_counts(form(counts)), loss.from_counts(counts)
    for (name, value), (_, truth) in zip(instance.named_buffers(), reference.named_buffers(), strict=True):
        assert torch.equal(value.nan_to_num(-1), truth.nan_to_num(-1)), name


@every_case_of_one_label
def test_labels_from_1_are_told_as_such(case: Case) -> None:
    if not case.knows_classes():
        pytest.skip("it cannot know how many classes there are")
    inputs = case.inputs()
    inputs["targets"] = torch.tensor([1, 2, 3, 4, 2, 1])
    with pytest.raises(ValueError, match=r"targets must lie in 0\.\.3, got 1\.\.4: labels run from 1 to 4; subtract 1"):
        case.make()(**inputs)


@every_case
def test_nan_is_refused_by_name_in_debug_mode(case: Case) -> None:
    inputs, loss = case.inputs(), case.make()
    for name in floats(inputs):
        tensor = inputs[name].clone()
        tensor.view(-1)[1] = torch.nan
        loss(**inputs | {name: tensor})  # no thorough check unless asked for
        with set_debug(True), pytest.raises(ValueError, match=f"{name} holds NaN"):
            loss(**inputs | {name: tensor})


@every_case
@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")  # of torch 2.8 alone
def test_compiled_in_one_piece_it_gives_the_same(case: Case) -> None:
    torch.compiler.reset()
    inputs, copies = with_grad(case.inputs(), torch.float64), with_grad(case.inputs(), torch.float64)
    loss, twin = case.make(), case.make()
    value = loss(**inputs)
    output = torch.compile(twin, fullgraph=True, backend="aot_eager")(**copies)
    torch.testing.assert_close(output, value)
    torch.testing.assert_close(twin.state_dict(), loss.state_dict(), msg="what it has counted or summed")
    value.backward()
    output.backward()
    for name, tensor in floats(inputs).items():
        torch.testing.assert_close(copies[name].grad, tensor.grad, msg=lambda text, name=name: f"{name}: {text}")
