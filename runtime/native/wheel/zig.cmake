# A CMake toolchain for every system that wheels are built for, with zig as the compiler: it brings the headers and the
# libraries to link with of each.
#
#   cmake -S runtime/native -B build/there -DCMAKE_TOOLCHAIN_FILE=wheel/zig.cmake -DLEANBERT_NATIVE_TARGET=aarch64-linux-musl
#
#   LEANBERT_NATIVE_TARGET  as zig names it, with the lowest version of glibc or macOS: x86_64-linux-gnu.2.17,
#                           aarch64-macos.11.0, x86_64-windows-gnu
#   LEANBERT_ZIG            zig itself, where it is not on the PATH (`pip install ziglang` puts it in a package); or the
#                           environment variable of this name
find_program(LEANBERT_ZIG zig HINTS "$ENV{LEANBERT_ZIG}" NO_CMAKE_FIND_ROOT_PATH REQUIRED)
if(NOT LEANBERT_NATIVE_TARGET MATCHES "^(x86_64|aarch64)-(linux|macos|windows)[-.]")
  message(FATAL_ERROR "LEANBERT_NATIVE_TARGET is \"${LEANBERT_NATIVE_TARGET}\"; expected one like x86_64-linux-gnu.2.17")
endif()
set(CMAKE_SYSTEM_PROCESSOR ${CMAKE_MATCH_1})
set(CMAKE_SYSTEM_NAME ${CMAKE_MATCH_2})
string(REPLACE linux Linux CMAKE_SYSTEM_NAME ${CMAKE_SYSTEM_NAME})
string(REPLACE macos Darwin CMAKE_SYSTEM_NAME ${CMAKE_SYSTEM_NAME})
string(REPLACE windows Windows CMAKE_SYSTEM_NAME ${CMAKE_SYSTEM_NAME})
set(CMAKE_CXX_COMPILER ${LEANBERT_ZIG} c++)
set(CMAKE_CXX_COMPILER_TARGET ${LEANBERT_NATIVE_TARGET})
if(DEFINED LEANBERT_NATIVE_TESTS AND NOT LEANBERT_NATIVE_TESTS)
  # CMake's trial programs need no C++ library, which zig would compile for each target.
  set(CMAKE_EXE_LINKER_FLAGS_INIT -nostdlib++)
endif()
# The trials' own projects read this file again.
list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES LEANBERT_ZIG LEANBERT_NATIVE_TARGET LEANBERT_NATIVE_TESTS)
