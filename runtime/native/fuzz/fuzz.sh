#!/bin/sh
# Builds a fuzz target with clang and runs it (from anywhere); the corpus is kept from run to run:
#   fuzz.sh BUILD_FOLDER SECONDS [native_fuzz|native_text_fuzz]
# One process at the lowest priority. Findings are written to BUILD_FOLDER/crash-*, and the exit status is not 0.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
build=$1
seconds=$2
target=${3:-native_fuzz}
corpus=corpus
[ "$target" = native_fuzz ] || corpus="corpus-$target"
command -v clang++ >/dev/null || { echo "fuzz.sh: needs clang (apt-get install clang)" >&2; exit 2; }
cmake -S "$here/.." -B "$build" -DCMAKE_CXX_COMPILER=clang++ -DLEANBERT_NATIVE_FUZZ=ON \
  -DLEANBERT_NATIVE_TESTS=OFF -DLEANBERT_NATIVE_SANITIZE=address,undefined >/dev/null
cmake --build "$build" --target "$target" -j2 >/dev/null
mkdir -p "$build/$corpus"
cd "$build"
exec nice -n 19 "./$target" -max_len=400 -max_total_time="$seconds" -print_final_stats=1 "$corpus"
