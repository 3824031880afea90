# libleanbert: text in, answers out (include/leanbert.h). It contains the engine's objects and shows leanbert_… alone.

set(library_sources
  src/library/answering.cpp src/library/bundle.cpp src/library/c_api.cpp src/library/description.cpp
  src/library/entities.cpp src/library/failure.cpp src/library/files.cpp src/library/numerics.cpp src/library/sentence.cpp
  src/library/sha256.cpp src/library/values.cpp)

add_library(leanbert_library_objects OBJECT ${library_sources} src/library/sha256_${architecture}.cpp)
target_include_directories(leanbert_library_objects PUBLIC include src)
target_compile_features(leanbert_library_objects PUBLIC cxx_std_17)
set_target_properties(leanbert_library_objects PROPERTIES
  POSITION_INDEPENDENT_CODE ON CXX_EXTENSIONS OFF CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON)
target_compile_definitions(leanbert_library_objects PRIVATE
  LEANBERT_BUILD LEANBERT_LIBRARY_VERSION="${PROJECT_VERSION}" _GNU_SOURCE)
# Exceptions are used inside and end at the border. No contraction, as in the engine: the scores' bits depend on it.
target_compile_options(leanbert_library_objects PRIVATE
  -O2 -ffp-contract=off -fno-math-errno -Wall -Wextra $<$<BOOL:${LEANBERT_NATIVE_WERROR}>:-Werror>)
if(architecture STREQUAL "x86")
  set_source_files_properties(src/library/sha256_x86.cpp PROPERTIES COMPILE_OPTIONS "-msse4.1;-msha")
elseif(LEANBERT_NATIVE_HAS_MARCH)
  set_source_files_properties(src/library/sha256_arm.cpp PROPERTIES COMPILE_OPTIONS "-march=armv8-a+crypto")
else()
  set_source_files_properties(src/library/sha256_arm.cpp PROPERTIES COMPILE_OPTIONS "-mcpu=generic+crypto")
endif()
if(LEANBERT_NATIVE_SANITIZE)
  target_compile_options(leanbert_library_objects PUBLIC
    -fsanitize=${LEANBERT_NATIVE_SANITIZE} -fno-sanitize-recover=all -g)
endif()

# The number in the library's name is LEANBERT_ABI_VERSION, which leanbert.h promises.
file(STRINGS include/leanbert.h abi REGEX "^#define LEANBERT_ABI_VERSION [0-9]+$")
string(REGEX REPLACE ".* " "" abi "${abi}")
add_library(leanbert SHARED
  $<TARGET_OBJECTS:leanbert_library_objects> $<TARGET_OBJECTS:leanbert_text_objects> $<TARGET_OBJECTS:leanbert_objects>)
set_target_properties(leanbert PROPERTIES PREFIX lib VERSION ${abi} SOVERSION ${abi}
  INSTALL_NAME_DIR "@rpath" BUILD_WITH_INSTALL_NAME_DIR ON)
target_include_directories(leanbert INTERFACE
  $<BUILD_INTERFACE:${CMAKE_CURRENT_SOURCE_DIR}/include> $<INSTALL_INTERFACE:include>)
target_link_libraries(leanbert PRIVATE ${threads})
if(WIN32)
  target_link_libraries(leanbert PRIVATE api-ms-win-core-synch-l1-2-0)  # WaitOnAddress
elseif(APPLE)
  target_link_options(leanbert PRIVATE -Wl,-exported_symbol,_leanbert_*)
else()
  target_link_options(leanbert PRIVATE "-Wl,--version-script=${CMAKE_CURRENT_SOURCE_DIR}/library.map")
  set_target_properties(leanbert PROPERTIES LINK_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/library.map")
  if(NOT LEANBERT_NATIVE_SANITIZE)
    target_link_options(leanbert PRIVATE -Wl,--no-undefined -Wl,-z,now)
  endif()
endif()
if(NOT LEANBERT_NATIVE_SANITIZE)
  target_link_options(leanbert PRIVATE $<$<CONFIG:Release>:-s>)
endif()

configure_file(leanbert.pc.in leanbert.pc @ONLY)
install(TARGETS leanbert COMPONENT library
  LIBRARY DESTINATION lib ARCHIVE DESTINATION lib RUNTIME DESTINATION bin)
install(FILES include/leanbert.h include/leanbert.hpp COMPONENT library DESTINATION include)
install(FILES "${CMAKE_CURRENT_BINARY_DIR}/leanbert.pc" COMPONENT library DESTINATION lib/pkgconfig)

# Without LEANBERT_NATIVE_FUZZ this fuzzer makes its inputs itself.
if(LEANBERT_NATIVE_FUZZ)
  target_compile_options(leanbert_text_objects PUBLIC -fsanitize=fuzzer-no-link)
  target_compile_options(leanbert_library_objects PUBLIC -fsanitize=fuzzer-no-link)
endif()
if(LEANBERT_NATIVE_FUZZ OR (LEANBERT_NATIVE_TESTS AND NOT WIN32))
  add_executable(native_text_fuzz fuzz/text.cpp)
  target_link_libraries(native_text_fuzz PRIVATE leanbert_library_objects leanbert_text_objects leanbert_objects ${threads})
  target_compile_options(native_text_fuzz PRIVATE -O1 -Wall -Wextra $<$<BOOL:${LEANBERT_NATIVE_WERROR}>:-Werror>)
  if(LEANBERT_NATIVE_FUZZ)
    target_compile_definitions(native_text_fuzz PRIVATE LEANBERT_LIBFUZZER)
    target_link_options(native_text_fuzz PRIVATE -fsanitize=fuzzer)
  endif()
endif()
if(LEANBERT_NATIVE_TESTS AND NOT WIN32)
  foreach(program native_library_fuzz=fuzz/library.cpp native_library_stress=tests/library_stress.cpp)
    string(REPLACE "=" ";" program ${program})
    list(GET program 0 name)
    list(GET program 1 source)
    add_executable(${name} ${source})
    target_link_libraries(${name} PRIVATE leanbert_library_objects leanbert_text_objects leanbert_objects ${threads})
    target_compile_options(${name} PRIVATE -O1 -Wall -Wextra $<$<BOOL:${LEANBERT_NATIVE_WERROR}>:-Werror>)
  endforeach()
endif()
