# weir_flags: what every file of ours is compiled with. Warnings are errors in CI and dev presets only.
option(WEIR_WERROR "treat warnings as errors" OFF)
option(WEIR_FORTIFY "compile with _FORTIFY_SOURCE" ON)
option(WEIR_FUZZ "build the libFuzzer programs" OFF)
add_library(weir_flags INTERFACE)
target_compile_definitions(weir_flags INTERFACE _GNU_SOURCE WEIR_VERSION="${PROJECT_VERSION}")
target_compile_options(weir_flags INTERFACE
  -Wall -Wextra -Wshadow -Wconversion -Wsign-conversion -Wstrict-prototypes -Wmissing-prototypes
  -Wvla -Walloca -Wformat=2 -Wundef -Wwrite-strings -Wimplicit-fallthrough -Wcast-qual
  -fno-strict-aliasing -fno-common -fstack-protector-strong -ffp-contract=off)
# clang counts these two as conversions: ASSERT(!"words"), and enum constants in floating-point arithmetic.
if(CMAKE_C_COMPILER_ID MATCHES "Clang")
  target_compile_options(weir_flags INTERFACE -Wno-string-conversion -Wno-enum-float-conversion)
endif()
if(WEIR_WERROR)
  target_compile_options(weir_flags INTERFACE -Werror)
endif()
if(WEIR_FORTIFY AND NOT CMAKE_BUILD_TYPE STREQUAL "Debug")
  target_compile_options(weir_flags INTERFACE -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
endif()
if(NOT APPLE)
  target_link_options(weir_flags INTERFACE -Wl,-z,relro,-z,now -Wl,--as-needed)
endif()
