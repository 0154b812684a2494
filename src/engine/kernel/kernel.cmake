# Flags of the kernel backends, one file each; which of them runs is chosen at run time by kernel.c. They are optimised in
# every preset: the tests of exactness run the whole model through the portable backend too.
set(kernel_dir ${CMAKE_CURRENT_SOURCE_DIR}/engine/kernel)
set(kernel_fast -O3 -g1 -fno-stack-protector) # -g would follow every variable through the unrolling: twice the time
function(kernel_flags file)
  set_source_files_properties(${kernel_dir}/${file} PROPERTIES COMPILE_OPTIONS "${kernel_fast};${ARGN}")
endfunction()
kernel_flags(kernel_portable.c -O2)
kernel_flags(panel.c)
# The other backends are the same source as the portable one, unrolled far: the sanitizers look at that one, and would
# need minutes for each of these.
if(CMAKE_C_FLAGS MATCHES "-fsanitize=")
  list(APPEND kernel_fast -fno-sanitize=all)
endif()
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64|amd64")
  kernel_flags(kernel_avx2.c -mavx2 -mfma -mf16c)
  kernel_flags(kernel_avxvnni.c -mavx2 -mfma -mf16c -mavxvnni)
  kernel_flags(kernel_avx512.c -mavx2 -mfma -mf16c -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512vnni -mprefer-vector-width=512
    -fno-tree-slp-vectorize) # what is scalar there would be gathered into vectors, at a greater price
  kernel_flags(tiles.c -mavx2 -mfma -mf16c -mavx512f -mavx512bw -mavx512dq -mavx512vl -mamx-tile -mamx-int8)
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "aarch64|arm64")
  kernel_flags(kernel_neon.c)
  kernel_flags(kernel_neondot.c -march=armv8.2-a+dotprod)
endif()
