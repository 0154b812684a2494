# Cross build for 64-bit Arm with Debian's compiler, run here under qemu-user. The outside libraries come from
# build/sysroot-arm64 (scripts/sysroot-arm64), the C library from the compiler's own tree.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_LIBRARY_ARCHITECTURE aarch64-linux-gnu)
set(CMAKE_CROSSCOMPILING_EMULATOR qemu-aarch64;-L;/usr/aarch64-linux-gnu)

get_filename_component(root ${CMAKE_CURRENT_LIST_DIR}/.. ABSOLUTE)
set(CMAKE_FIND_ROOT_PATH ${root}/build/sysroot-arm64 /usr/aarch64-linux-gnu)
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
# openssl/opensslconf.h lies in the folder of the architecture.
set(CMAKE_C_FLAGS_INIT "-isystem ${root}/build/sysroot-arm64/usr/include/aarch64-linux-gnu")
