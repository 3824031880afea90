#!/bin/sh
# Builds the native engine under sanitizers and runs its C++ and Python tests with them (gcc or clang, from anywhere):
#   sanitize.sh BUILD_FOLDER [address|thread|posix]...  all by default; PYTHON names the interpreter
# address is ASan and UBSan over the stress test, tests/native and, for FUZZ_SECONDS (60), hostile bundles and texts for
# the C library; thread is TSan over the stress tests of the engine and of the C library, because an interpreter that TSan
# does not know gives findings of its own; posix is the same over condition variables.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../.." && pwd)
mkdir -p "$1"
build=$(cd "$1" && pwd)
shift
[ $# -gt 0 ] || set -- address thread posix
for kind in "$@"; do
  case $kind in
    address) flags=address,undefined platform= ;;
    thread) flags=thread platform= ;;
    posix) flags=thread platform=posix ;;
    *) echo "sanitize.sh: no sanitizer named $kind" >&2; exit 2 ;;
  esac
  cmake -S "$here/.." -B "$build/$kind" -DLEANBERT_NATIVE_SANITIZE=$flags \
    -DLEANBERT_NATIVE_PLATFORM=$platform >/dev/null
  cmake --build "$build/$kind" -j2 >/dev/null
  (cd "$build/$kind" && ctest --output-on-failure --timeout 600)
  rm -rf "$build/bundles"
  (cd "$root" && PYTHONPATH=runtime:export:. "${PYTHON:-python3}" -m tests.native.c_library.bundles "$build/bundles" >/dev/null)
  "$build/$kind/native_library_stress" "${STRESS_CALLS:-20}" "$build"/bundles/*
  if [ "$kind" = address ]; then
    runtime="$(${CXX:-c++} -print-file-name=libasan.so) $(${CXX:-c++} -print-file-name=libubsan.so)"
    cd "$root"
    LD_PRELOAD="$runtime" ASAN_OPTIONS=detect_leaks=0 LEANBERT_NATIVE_LIBRARY="$build/$kind/libleanbert_native.so" \
      "${PYTHON:-python3}" -m pytest -q -p no:cacheprovider tests/native \
      --ignore tests/native/c_library/test_examples.py  # other languages' own runtimes
    # Hostile bundles and texts for the C library, for FUZZ_SECONDS of the processor.
    rm -rf "$build/work"
    "$build/$kind/native_library_fuzz" "${FUZZ_SECONDS:-60}" 1 "$build/work" "$build"/bundles/*
  fi
done
