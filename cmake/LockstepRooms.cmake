# One function per kind of target, so that every room is built, warned about and tested alike.

set(LOCKSTEP_SANITIZE "" CACHE STRING "Value of -fsanitize= (empty for none)")
option(LOCKSTEP_LIBFUZZER "Build fuzz targets with libFuzzer (clang)" OFF)

find_program(CCACHE ccache)
if(CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE})
endif()

add_library(lockstep_options INTERFACE)
target_include_directories(lockstep_options INTERFACE ${CMAKE_SOURCE_DIR}/src)
target_compile_options(lockstep_options INTERFACE
  -Wall -Wextra -Wpedantic -Werror -Wshadow -Wconversion -Wsign-conversion -Wold-style-cast
  -Wnon-virtual-dtor -Woverloaded-virtual -Wcast-align -Wnull-dereference -fno-omit-frame-pointer)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # Sanitizers and Release inlining make these report paths that do not exist (GCC 12): the array
  # and string ones for any insert() into a vector of bytes, -Wrestrict for "literal" + std::string
  # (GCC bug 105651).
  target_compile_options(lockstep_options INTERFACE -Wno-null-dereference -Wno-maybe-uninitialized
    -Wno-array-bounds -Wno-stringop-overflow -Wno-stringop-overread -Wno-restrict)
endif()
if(LOCKSTEP_LIBFUZZER)
  target_compile_options(lockstep_options INTERFACE -fsanitize=fuzzer-no-link)
endif()
if(LOCKSTEP_SANITIZE)
  target_compile_options(lockstep_options INTERFACE
    -fsanitize=${LOCKSTEP_SANITIZE} -fno-sanitize-recover=all)
  target_link_options(lockstep_options INTERFACE -fsanitize=${LOCKSTEP_SANITIZE})
endif()

# lockstep_room(NAME SOURCES ... [TESTS ...] [DEPENDS ...] [PRIVATE_DEPENDS ...])
# A room: one static library lockstep_NAME, and one test program NAME_test when it has tests.
function(lockstep_room name)
  cmake_parse_arguments(ROOM "" "" "SOURCES;TESTS;DEPENDS;PRIVATE_DEPENDS" ${ARGN})
  add_library(lockstep_${name} STATIC ${ROOM_SOURCES})
  target_link_libraries(lockstep_${name} PUBLIC lockstep_options ${ROOM_DEPENDS}
                                         PRIVATE ${ROOM_PRIVATE_DEPENDS})
  if(ROOM_TESTS)
    lockstep_test(${name}_test SOURCES ${ROOM_TESTS} DEPENDS lockstep_${name})
  endif()
endfunction()

# lockstep_test(NAME SOURCES ... DEPENDS ...): a GoogleTest program; each case becomes a ctest.
function(lockstep_test name)
  cmake_parse_arguments(TEST "" "" "SOURCES;DEPENDS" ${ARGN})
  add_executable(${name} ${TEST_SOURCES})
  target_link_libraries(${name} PRIVATE lockstep_options ${TEST_DEPENDS} GTest::gmock
                                        GTest::gtest_main)
  include(GoogleTest)
  gtest_discover_tests(${name} DISCOVERY_MODE PRE_TEST DISCOVERY_TIMEOUT 60)
endfunction()

# lockstep_program(NAME SOURCES ... DEPENDS ...): a program in build/<preset>/bin.
function(lockstep_program name)
  cmake_parse_arguments(PROGRAM "" "" "SOURCES;DEPENDS" ${ARGN})
  add_executable(${name} ${PROGRAM_SOURCES})
  target_link_libraries(${name} PRIVATE lockstep_options ${PROGRAM_DEPENDS})
endfunction()

# lockstep_fuzz_target(NAME SOURCES ... DEPENDS ...)
# With libFuzzer (preset fuzz): a fuzzer. Otherwise: a program that replays the files of
# fuzz/corpus/NAME, which is a ctest, so that every finding stays found.
function(lockstep_fuzz_target name)
  cmake_parse_arguments(FUZZ "" "" "SOURCES;DEPENDS" ${ARGN})
  if(LOCKSTEP_LIBFUZZER)
    add_executable(${name} ${FUZZ_SOURCES})
    target_link_libraries(${name} PRIVATE lockstep_options ${FUZZ_DEPENDS} -fsanitize=fuzzer)
  else()
    add_executable(${name} ${FUZZ_SOURCES} ${CMAKE_SOURCE_DIR}/fuzz/replay_corpus_main.cc)
    target_link_libraries(${name} PRIVATE lockstep_options ${FUZZ_DEPENDS})
    add_test(NAME ${name}_corpus COMMAND ${name} ${CMAKE_SOURCE_DIR}/fuzz/corpus/${name})
  endif()
endfunction()
