#!/usr/bin/env bash
# Some minutes of a borrowed GPU, in the root of this project: the equality tests, the table of
# speeds, then as much of a configuration as fits.
#
#     performance/on_gpu.sh FOLDER SECONDS CONFIGFILE [PACKED ...]
#
# FOLDER      takes everything that is written: equality.txt, speed.txt, training.txt, results/ and,
#             with the scores in files to bring home, packs/
# SECONDS     for the training; the tests take up to 60 before, the table up to 60
# CONFIGFILE  such as config/paper.yaml
# PACKED      prepared data sets, each a folder of `python -m performance.travel pack` that has the
#             data set's name; others are downloaded
#
# PYTHON, DEVICE and WHEELS (a folder of packages that the machine lacks) may be set. Called again
# with the same FOLDER, the training goes on.
set -euo pipefail

if [ $# -lt 3 ]; then
    sed -n '2,17s/^# \{0,1\}//p' "$0" >&2
    exit 2
fi
mkdir -p "$1/tmp" "$1/results"
folder=$(cd "$1" && pwd)
seconds=$2
config=$3
shift 3
python=${PYTHON:-python3}
device=${DEVICE:-cuda}

# Whatever is written by default elsewhere.
export TMPDIR="$folder/tmp" XDG_CACHE_HOME="$folder/tmp" PYTHONDONTWRITEBYTECODE=1
export PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}"
if [ -n "${WHEELS:-}" ]; then
    "$python" -m pip install --quiet --no-index --no-deps --upgrade --target "$folder/tmp/site" \
        "$WHEELS"/*.whl
    export PYTHONPATH="$folder/tmp/site:$PYTHONPATH"
fi

# A mistake in the call is told before it has cost minutes.
called=$("$python" -c '
import sys
from pathlib import Path
from benchmark import config
from benchmark.errors import InputError
try:
    name = config.read(Path(sys.argv[1]), data=False).name
    print(name, float(sys.argv[2]) / 60)
except InputError as error:
    sys.exit(str(error))
except ValueError:
    sys.exit(f"{sys.argv[2]}: no seconds; give a number, such as 540")
' "$config" "$seconds")
name=${called% *}
minutes=${called#* }

# A GPU that computes something else trains nothing. Any new warning of CUDA is none of that.
status=0
timeout 60 "$python" -m pytest -q -W default --noconftest -p no:cacheprovider -rs \
    --basetemp "$folder/tmp/pytest" tests/test_gradcon_cuda.py >"$folder/equality.txt" 2>&1 ||
    status=$?
tail -n 3 "$folder/equality.txt"
case $status in
0) ;;
124) echo "equality tests: not finished in 60 seconds, see $folder/equality.txt" ;;
*)
    echo "equality tests: failed, so nothing is trained; see $folder/equality.txt" >&2
    exit 1
    ;;
esac

timeout 120 "$python" -m performance.accelerator ${TABLE:-} 2>&1 | tee "$folder/speed.txt" ||
    echo "table of speeds: not finished, see $folder/speed.txt; the training does not need it" >&2

printf 'results: %s\n' "$folder/results" >"$folder/tmp/here.yaml"
for packed in "$@"; do
    data="$folder/results/$name/data/$(basename "$packed")"
    [ -f "$data/dataset.json" ] || "$python" -m performance.travel unpack "$packed" "$data"
done
# What was trained before a trouble is brought home too.
status=0
"$python" -m benchmark train --configfile "$config" "$folder/tmp/here.yaml" --minutes "$minutes" \
    --device "$device" 2>&1 | tee "$folder/training.txt" || status=$?
# Packs hold all runs, those of an earlier call too.
rm -f "$folder/packs/$name"-*.zip
if [ -n "$(find "$folder/results/$name" -path "*/runs/*/run.json" -print -quit)" ]; then
    "$python" -m benchmark pack --configfile "$config" "$folder/tmp/here.yaml" --to "$folder/packs"
else
    echo "no run is complete yet; call again with this folder, and the training goes on"
fi
exit "$status"
