"""What smaller images in the cache cost in accuracy, of heads on frozen features of augmented views."""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.measure import CPU, save, table

FILES = "files"


def accuracy(options: argparse.Namespace, source: str, seed: int, runs: Path) -> dict[str, float]:
    """Test accuracy of one head, with the files or the pixels of their shorter side as source."""
    cache = [] if source == FILES else ["--data.cache", "disk", "--data.cache_size", source]
    run = runs / f"{source}-{seed}"
    command = [sys.executable, "-m", "longtail", "fit", "--recipe", "probe/ce", "--data", str(options.data)]
    command += ["--backbone", options.backbone, "--weights", str(options.weights), "--seed", str(seed)]
    command += ["--image-size", str(options.image_size), "--model.method.copies", str(options.copies)]
    command += ["--data.val_fraction", "0", "--run", str(run), *cache]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    results = json.loads((run / "results.json").read_text())
    (last,) = (one["metrics"] for one in results["evaluations"] if one["split"] == "test")
    return {name: last[name] for name in ("top1", "balanced_accuracy")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with train/CLASS and test/CLASS")
    parser.add_argument("--backbone", default="tf_efficientnet_lite0")
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--image-size", type=int, default=224)
    parser.add_argument("--copies", type=int, default=8)
    parser.add_argument("--sizes", nargs="+", default=["256", "224", "128"], help="pixels of the shorter side")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="file to write the figures to")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        figures = {
            source: [accuracy(options, source, seed, Path(name)) for seed in range(options.seeds)]
            for source in [FILES, *options.sizes]
        }
    save(options.json, CPU, accuracy=figures)
    rows = [
        [source, *(f"{100 * statistics.mean(one[metric] for one in seeds):.1f}" for metric in seeds[0])]
        for source, seeds in figures.items()
    ]
    print(table(["Images from", "Top-1", "Balanced"], rows))


if __name__ == "__main__":
    main()
