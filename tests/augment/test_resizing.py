"""Training images that grow with the epochs."""

import pytest
import torch
from torch.nn import functional as F

from longtail.augment import ProgressiveResizing


def test_the_size_is_that_of_the_part_of_the_run():
    resizing = ProgressiveResizing([0.5, 0.75], [0.6, 0.9])
    sizes = []
    for epoch in range(10):
        resizing.set_epoch(epoch, 10)
        sizes.append(resizing.size)
    assert sizes == [0.5] * 6 + [0.75] * 3 + [1.0]
    assert resizing.sides(32) == [16, 24, 32]
    assert resizing.sides(1) == [1]


@pytest.mark.parametrize("epochs", [0, -1])
def test_without_a_number_of_epochs_images_are_whole(epochs):
    resizing = ProgressiveResizing()
    assert resizing.size == 1.0
    resizing.set_epoch(3, epochs)
    assert resizing.size == 1.0


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_images_are_resized_as_by_torch_and_clips_frame_by_frame(dtype):
    resizing = ProgressiveResizing([0.5], [0.5])
    resizing.set_epoch(0, 2)
    clips = torch.randint(0, 256, (2, 3, 4, 30, 44), generator=torch.Generator().manual_seed(0)).to(dtype)
    resized = resizing(clips)
    assert resized.shape == (2, 3, 4, 15, 22)
    assert resized.dtype == dtype
    for t in range(4):
        frame = clips[:, :, t]
        expected = F.interpolate(frame, (15, 22), mode="bilinear", antialias=True)
        torch.testing.assert_close(resized[:, :, t], expected)
        torch.testing.assert_close(resizing(frame), expected)
    resizing.set_epoch(1, 2)
    assert resizing(clips) is clips


@pytest.mark.parametrize(
    ("sizes", "milestones", "message"),
    [
        ([0.5], [0.5, 0.9], "a milestone for every size, got 1 and 2"),
        ([0.0], [0.5], "sizes above 0 and at most 1"),
        ([1.5], [0.5], "sizes above 0 and at most 1"),
        ([0.5, 0.7], [0.9, 0.5], "milestones in order from 0 to 1"),
        ([0.5], [1.5], "milestones in order from 0 to 1"),
    ],
)
def test_what_is_no_order_of_sizes_is_refused(sizes, milestones, message):
    with pytest.raises(ValueError, match=message):
        ProgressiveResizing(sizes, milestones)
