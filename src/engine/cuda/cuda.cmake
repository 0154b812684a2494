# The GPU's code: clang (16 or newer; no CUDA toolkit is needed) compiles ptx/kernels.c to PTX, which image.S takes into
# the program. Without such a clang, or with -DWEIR_CUDA=off, the program says that it has no code for GPUs.
set(WEIR_CUDA auto CACHE STRING "code for NVIDIA GPUs: auto (where clang can make it), on (required), off")
set_property(CACHE WEIR_CUDA PROPERTY STRINGS auto on off)
set(cuda_dir ${CMAKE_CURRENT_SOURCE_DIR}/engine/cuda)
set(cuda_ptx ${CMAKE_CURRENT_BINARY_DIR}/kernels.ptx)
set(cuda_flags --target=nvptx64-nvidia-cuda -march=sm_80 -Xclang -target-feature -Xclang +ptx70 -std=gnu17 -O3
  -ffp-contract=off -ffreestanding -fconvergent-functions -nostdlibinc -Wall -Wextra -Werror)

function(weir_find_cuda_compiler)
  find_program(WEIR_CUDA_CLANG NAMES clang-19 clang-20 clang-21 clang-18 clang-17 clang-16 clang)
  mark_as_advanced(WEIR_CUDA_CLANG)
  if(NOT WEIR_CUDA_CLANG OR DEFINED WEIR_CUDA_WORKS_${WEIR_CUDA_CLANG})
    return()
  endif()
  # Does it know this target, and the builtins that the code uses?
  file(WRITE ${CMAKE_BINARY_DIR}/CMakeFiles/cuda_try.c "__attribute__((nvptx_kernel)) void f(float *p) { *p = 1.0f; }\n")
  execute_process(COMMAND ${WEIR_CUDA_CLANG} ${cuda_flags} -S ${CMAKE_BINARY_DIR}/CMakeFiles/cuda_try.c
    -o ${CMAKE_BINARY_DIR}/CMakeFiles/cuda_try.ptx RESULT_VARIABLE result OUTPUT_QUIET ERROR_QUIET)
  execute_process(COMMAND ${WEIR_CUDA_CLANG} ${cuda_flags} -I${CMAKE_CURRENT_SOURCE_DIR} -fsyntax-only ${cuda_dir}/ptx/kernels.c
    RESULT_VARIABLE knows OUTPUT_QUIET ERROR_QUIET)
  if(result EQUAL 0 AND knows EQUAL 0)
    set(WEIR_CUDA_WORKS_${WEIR_CUDA_CLANG} YES CACHE INTERNAL "")
  else()
    set(WEIR_CUDA_WORKS_${WEIR_CUDA_CLANG} NO CACHE INTERNAL "")
    message(NOTICE "${WEIR_CUDA_CLANG} cannot compile src/engine/cuda/ptx for GPUs: weir is built without.")
  endif()
endfunction()

set(WEIR_CUDA_BUILT NO)
if(NOT WEIR_CUDA STREQUAL "off")
  weir_find_cuda_compiler()
  if(WEIR_CUDA_CLANG AND WEIR_CUDA_WORKS_${WEIR_CUDA_CLANG})
    set(WEIR_CUDA_BUILT YES)
  elseif(WEIR_CUDA STREQUAL "on")
    message(FATAL_ERROR "WEIR_CUDA=on wants clang 16 or newer that compiles for nvptx64 (Debian package clang-19).")
  endif()
endif()
if(WEIR_CUDA_BUILT)
  file(GLOB cuda_sources CONFIGURE_DEPENDS ${cuda_dir}/ptx/*.h ${cuda_dir}/kernels.h)
  add_custom_command(OUTPUT ${cuda_ptx}
    COMMAND ${WEIR_CUDA_CLANG} ${cuda_flags} -I${CMAKE_CURRENT_SOURCE_DIR} -S ${cuda_dir}/ptx/kernels.c -o ${cuda_ptx}
    DEPENDS ${cuda_dir}/ptx/kernels.c ${cuda_sources} COMMENT "PTX of engine/cuda" VERBATIM)
  set_source_files_properties(${cuda_dir}/image.S PROPERTIES
    OBJECT_DEPENDS ${cuda_ptx} COMPILE_DEFINITIONS "WEIR_CUDA_PTX=\"${cuda_ptx}\"")
endif()
set(WEIR_CUDA_BUILT ${WEIR_CUDA_BUILT} PARENT_SCOPE) # the tests bring a machine for it
set(WEIR_CUDA_PTX ${cuda_ptx} PARENT_SCOPE)
