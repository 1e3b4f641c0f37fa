#!/usr/bin/env bash
# The package as a stranger gets it: the wheel in an empty environment, without extras and outside the source tree.
#   tests/wheel.sh PYTHON    of an environment with the extra dev; needs network access and 7 GB of temporary disk
set -euo pipefail
python=$(realpath --no-symlinks "$1")
source=$(realpath "$(dirname "$0")/..")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export PYTHONNOUSERSITE=1 PIP_DISABLE_PIP_VERSION_CHECK=1
unset PYTHONPATH

step() { printf '== %s\n' "$*"; }

step "sdist, and the wheel from it"
"$python" -m build --outdir "$work/dist" "$source" >"$work/build.log" 2>&1 || { cat "$work/build.log"; exit 1; }
wheel=$(ls "$work"/dist/*.whl)

step "the sdist holds what git tracks"
tar -xzf "$work"/dist/*.tar.gz -C "$work"
tree=$(echo "$work"/longtail-*)
if [ "$(git -C "$source" rev-parse --show-toplevel 2>/dev/null)" = "$source" ]; then
  git -C "$source" -c core.quotePath=false ls-files >"$work/known"
else  # an unpacked sdist: all that .gitignore does not name
  git init --quiet --bare "$work/git"
  git --git-dir "$work/git" --work-tree "$source" -C "$source" -c core.quotePath=false ls-files \
    --others --exclude-standard >"$work/known"
fi
grep -v -e '^\.ci/' -e '^PKG-INFO$' "$work/known" | sort >"$work/tracked"
(cd "$tree" && find . -type f ! -path ./PKG-INFO | cut -c3- | sort) >"$work/sdist"
diff "$work/tracked" "$work/sdist"  # a new file at the top has to be named in pyproject.toml

step "the tests can be collected from the sdist alone, and those of its files pass"
(
  cd "$tree"
  export PYTHONPATH="$tree" PYTHONDONTWRITEBYTECODE=1
  test "$("$python" -c 'import longtail; print(longtail.__file__)')" = "$tree/longtail/__init__.py"
  pytest=("$python" -m pytest -q -o addopts= -p no:cacheprovider)
  "${pytest[@]}" --collect-only >"$work/tests" || { tail -n 50 "$work/tests"; exit 1; }
  tail -n 1 "$work/tests"
  "${pytest[@]}" tests/test_{packaging,reproduce,docs}.py -k "not python_blocks and not pictures"  # what is quick
)

step "the wheel in an empty environment"
"$python" -m venv "$work/env"
"$work/env/bin/python" -m pip install --quiet --no-compile "$wheel"
"$work/env/bin/python" -m pip check
mkdir "$work/job"
cd "$work/job"
PATH="$work/env/bin:$PATH"
test "$(python -c 'import longtail; print(longtail.__file__)')" = "$(echo "$work"/env/lib/python*/site-packages)/longtail/__init__.py"

step "train, report, compare, predict"
longtail recipes >recipes.txt
for seed in 0 1; do longtail fit --recipe digits_lt/ce --epochs 2 --seed $seed --run run$seed; done
longtail report run0
longtail compare run0 run1 --output compare.html
test -s run0/report.html
test -s compare.html
python - <<'END'
from pathlib import Path

import numpy as np
from PIL import Image

Path("photos").mkdir()
for i in range(3):
    Image.fromarray(np.full((20, 24, 3), 80 * i, np.uint8)).save(f"photos/{i}.png")
END
longtail predict run0 photos --output predictions.csv
test "$(wc -l <predictions.csv)" = 4

step "what needs an extra is refused by a line that names it"
refused() {
  local line=$1 code=0
  shift
  "$@" 2>refusal.txt >&2 || code=$?
  [ "$code" = 2 ] && [ "$(cat refusal.txt)" = "longtail: error: $line" ] || { cat refusal.txt; exit 1; }
}
refused 'export needs onnx: pip install "longtail[onnx]"' longtail export run0

step "every extra alone"
while read -r extra modules; do
  "$python" -m venv --without-pip "$work/$extra"  # pip too is seen through base.pth
  echo "$work"/env/lib/python*/site-packages >"$(echo "$work/$extra"/lib/python*/site-packages)/base.pth"
  "$work/$extra/bin/python" -m pip install --quiet --no-compile "longtail[$extra] @ file://$wheel"
  "$work/$extra/bin/python" -c "import $modules"
  printf '%s: %s\n' "$extra" "$modules"
  if [ "$extra" = onnx ]; then "$work/$extra/bin/python" -m longtail export run0; fi
  rm -rf "${work:?}/$extra"
done <<'END'
parquet pyarrow.parquet
onnx onnx, onnxscript, onnxruntime
detection faster_coco_eval
segmentation segmentation_models_pytorch
clips av
heif pillow_heif
text open_clip
remote fsspec
END
