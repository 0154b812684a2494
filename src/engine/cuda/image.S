// The GPU's code (ptx/*.c, as PTX text) as read-only data of the program; empty where the build had no compiler for it.
// WEIR_CUDA_PTX is set by src/engine/cuda/cuda.cmake, which also rebuilds this when the file changes.
#if defined(__APPLE__)
#define SYMBOL(name) _##name
    .section __DATA,__const
#else
#define SYMBOL(name) name
    .section .rodata.weir_cuda,"a",%progbits
#endif
    .globl SYMBOL(cuda_image_from)
    .globl SYMBOL(cuda_image_end)
    .balign 16
SYMBOL(cuda_image_from):
#if defined(WEIR_CUDA_PTX)
    .incbin WEIR_CUDA_PTX
#endif
SYMBOL(cuda_image_end):
    .byte 0
#if defined(__ELF__)
    .section .note.GNU-stack,"",%progbits
#endif
