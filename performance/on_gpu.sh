#!/bin/sh
# What to do with a borrowed GPU, in the seconds that there are:
#
#   sh performance/on_gpu.sh FOLDER SECONDS CONFIGFILE...
#
# The results of a GPU are compared with those of the CPU (60 s at most), its speed is measured (60 s
# at most), then missing runs of the configuration are trained and their scores packed. All that is
# written lies under FOLDER: equality.txt, speed.txt, train.txt, results/ and packs/. Called again
# with the same FOLDER it goes on. DEVICE=cpu rehearses it without a GPU.
set -u

began=$(date +%s)
project=$(cd "$(dirname "$0")/.." && pwd)
folder=$1 seconds=$2
shift 2
device=${DEVICE:-cuda} python=${PYTHON:-python3}
end=$((began + seconds))
to_import=25 to_pack=10

mkdir -p "$folder" || exit 1
for file; do # the paths, as seen from the folder
    shift
    set -- "$@" "$(cd "$(dirname "$file")" && pwd)/$(basename "$file")"
done
cd "$folder" || exit 1
export PYTHONPATH="$project${PYTHONPATH:+:$PYTHONPATH}" PYTHONDONTWRITEBYTECODE=1

if [ "$device" != cpu ]; then
    timeout 60 "$python" -m pytest -q -W default -p no:cacheprovider \
        "$project/tests/test_gradcon_cuda.py" >equality.txt 2>&1
    echo "exit status $?" >>equality.txt
    tail -n 2 equality.txt
    timeout 60 "$python" -m performance.accelerator >speed.txt 2>&1
    echo "exit status $?" >>speed.txt
    cat speed.txt
fi

left=$((end - $(date +%s) - to_import - to_pack))
[ $left -gt 0 ] || { echo "$seconds s are too short: nothing is left to train" >&2; exit 1; }
minutes=$("$python" -c "print($left / 60)")
"$python" -m benchmark train --configfile "$@" --minutes "$minutes" --device "$device" >train.txt 2>&1
status=$?
cat train.txt
rm -rf packs
"$python" -m benchmark pack --configfile "$@" --to packs || status=1
exit $status
