// The bundled model as read-only data of the program. The assembler copies the file; a C array of it would cost
// the compiler minutes. WEIR_BUNDLED_MODEL is set by src/CMakeLists.txt, which also rebuilds this when the file changes.
#if defined(__APPLE__)
#define SYMBOL(name) _##name
    .section __DATA,__const
#else
#define SYMBOL(name) name
    .section .rodata.weir_model,"a",%progbits
#endif
    .globl SYMBOL(models_bundled_from)
    .globl SYMBOL(models_bundled_end)
    .balign 64
SYMBOL(models_bundled_from):
    .incbin WEIR_BUNDLED_MODEL
SYMBOL(models_bundled_end):
    .byte 0
#if defined(__ELF__)
    .section .note.GNU-stack,"",%progbits
#endif
