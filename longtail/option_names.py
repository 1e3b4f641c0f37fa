"""What people type, and the options of the trainer, the model and the data that it stands for."""

# A pair sets a flag.
SHORT: dict[str, str | tuple[str, str]] = {
    "--epochs": "--trainer.max_epochs",
    "--batch-size": "--data.batch_size",
    "--total-batch-size": "--total_batch_size",
    "--lr": "--model.optimizer.lr",
    "--seed": "--seed_everything",
    "--backbone": "--model.method.backbone.name",
    "--weights": "--model.method.backbone.weights",
    "--pretrained": ("--model.method.backbone.pretrained", "true"),
    "--image-size": "--data.image_size",
    "--workers": "--data.num_workers",
    "--skip-bad-images": ("--data.skip_bad_images", "true"),
    "--full-check": ("--data.full_check", "true"),
    "--skip-bad-videos": ("--data.skip_bad_images", "true"),
    "--precision": "--trainer.precision",
    "--compile": ("--model.compile", "true"),
    "--no-channels-last": ("--model.channels_last", "false"),
    "--clip": "--trainer.gradient_clip_val",
}


def typed(name: str) -> str:
    """What people type for an option."""
    return next((short for short, full in SHORT.items() if name in (full, full[0])), name)
