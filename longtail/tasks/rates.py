"""Whether an optimizer can be used, and what a learning rate means to it, told where it looks like that of another."""

from lightning.pytorch.cli import OptimizerCallable
from torch import nn, zeros, zeros_like
from torch.optim import SGD, Adafactor, Adam, Adamax, AdamW, NAdam, RAdam

from longtail.errors import InputError
from longtail.messages import first_line

ADAPTIVE = (Adam, AdamW, NAdam, RAdam, Adamax, Adafactor)  # divide a step by the size of the gradient
HIGHEST, LOWEST = 0.01, 1e-3  # usual rates of those are below, of SGD not below


def check_optimizer(optimizer: OptimizerCallable, method: nn.Module) -> None:
    """Check that an optimizer takes a step, by the smallest trained parameter of every number of dimensions.

    Args:
        optimizer: called with parameters.
        method: that is trained.

    Raises:
        InputError: if it cannot be made, or takes no step.
    """
    trained = [parameter for parameter in method.parameters() if parameter.requires_grad]
    smallest = {p.ndim: p for p in sorted(trained, key=lambda parameter: parameter.numel(), reverse=True)}
    parameters = [nn.Parameter(zeros_like(parameter)) for parameter in smallest.values()]
    if not parameters:
        return
    for parameter in parameters:
        parameter.grad = zeros_like(parameter)
    try:
        optimizer(parameters).step(lambda: 0.0)
    except Exception as error:
        raise InputError(
            f"the optimizer cannot be used here: {first_line(error)}: give its options otherwise, such as --lr, or "
            "another one by --model.optimizer"
        ) from error


def about_rate(optimizer: OptimizerCallable, by_user: bool) -> str | None:
    """What the rate of an optimizer means, in one line.

    Args:
        optimizer: called with parameters.
        by_user: whether the user chose the rate.

    Returns:
        The line where the rate is that of an adaptive optimizer and was chosen, or looks like one for the other kind
        of optimizer; else None.
    """
    instance = optimizer([nn.Parameter(zeros(1, 1))])
    name, rate = type(instance).__name__, float(instance.param_groups[0]["lr"])
    if isinstance(instance, ADAPTIVE):
        means = f"{name} at a rate of {rate:g} changes each weight by about {rate:g} a step, however large its gradient"
        if rate > HIGHEST:
            return f"{means}: that is a rate for SGD; give --lr 0.001 or less"
        return f"{means}; rates of SGD are about 100 times as large" if by_user else None
    if isinstance(instance, SGD) and rate < LOWEST:
        return f"SGD at a rate of {rate:g} changes little: that is a rate for AdamW; SGD's are about 100 times as large"
    return None
