// A machine that runs PTX, for tests where there is no GPU: the program's own GPU code, as the
// compiler made it, one thread after the other. It is stricter than a GPU: every access must lie in
// memory that was asked for and be aligned, two threads may not touch the same shared word between
// two barriers unless both read, threads may not part at a barrier, and an operation whose result a
// GPU may choose (contracted, approximate, flushed) is refused. It knows what our code uses and
// refuses the rest by name. Addresses of its device are addresses here.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    PTX_OPERANDS_MAX = 5,
    PTX_VECTOR_MAX = 4,
    PTX_SHARED_BYTES = 96 << 10,
    PTX_PARAM_BYTES = 4096
};

enum ptx_op {
    PTX_MOV,
    PTX_LD,
    PTX_ST,
    PTX_CVTA,
    PTX_ADD,
    PTX_SUB,
    PTX_MUL,
    PTX_MAD,
    PTX_FMA,
    PTX_DIV,
    PTX_REM,
    PTX_RCP,
    PTX_SQRT,
    PTX_MIN,
    PTX_MAX,
    PTX_NEG,
    PTX_AND,
    PTX_OR,
    PTX_XOR,
    PTX_NOT,
    PTX_SHL,
    PTX_SHR,
    PTX_BFE,
    PTX_SETP,
    PTX_SELP,
    PTX_BRA,
    PTX_BAR,
    PTX_RET,
    PTX_SHFL,
    PTX_CVT,
    PTX_DP4A,
    PTX_MMA,
    PTX_OPS
};

enum ptx_kind { PTX_NONE, PTX_BITS, PTX_UNSIGNED, PTX_SIGNED, PTX_FLOAT, PTX_PRED };
struct ptx_type {
    uint8_t kind, bits;
};

enum ptx_mode { PTX_PLAIN, PTX_LO, PTX_WIDE }; // of a product
enum ptx_compare {
    PTX_EQ,
    PTX_NE,
    PTX_LT,
    PTX_LE,
    PTX_GT,
    PTX_GE,
    PTX_EQU,
    PTX_NEU,
    PTX_LTU,
    PTX_LEU,
    PTX_GTU,
    PTX_GEU,
    PTX_COMPARES
};
enum ptx_special { PTX_TID_X, PTX_CTAID_X, PTX_CTAID_Y, PTX_NCTAID_X, PTX_NTID_X, PTX_SPECIALS };

enum ptx_operand_kind { PTX_REGISTER, PTX_VALUE, PTX_SPECIAL, PTX_VECTOR };
struct ptx_operand {
    uint8_t kind, n;              // n: of a vector
    uint16_t reg[PTX_VECTOR_MAX]; // a vector's, or reg[0]
    uint64_t value;               // a number, an address, or what is added to reg[0]
};

struct ptx_insn {
    uint8_t op, mode, compare, n_operands;
    bool is_rounded; // .rn
    bool guarded, guard_not;
    uint16_t guard;
    struct ptx_type type, type2;
    uint32_t target, line;
    struct ptx_operand o[PTX_OPERANDS_MAX];
};

struct ptx_kernel {
    char name[64];
    struct ptx_insn *code;
    size_t n_code, code_cap, n_registers, param_bytes;
    bool needs_matrix_unit; // has mma: this machine has none
};

// Who touched a word of shared memory since the last barrier.
struct ptx_touch {
    uint32_t write_epoch, read_epoch;
    uint16_t writer, reader;
};

struct ptx_module {
    struct ptx_kernel *kernels;
    size_t n_kernels;
    uint8_t *shared, *param; // the block's memory, the arguments
    size_t shared_used;
    struct ptx_touch *touches; // a word of shared memory each
    uint32_t epoch;            // barriers and blocks so far
};

// NULL with a sentence in `error` where something is not known.
struct ptx_module *ptx_parse(const char *text, char *error, size_t error_size);
void ptx_module_free(struct ptx_module *m);
struct ptx_kernel *ptx_find(struct ptx_module *m, const char *name);

// Whether an access of the device's memory is allowed (driver.c knows what was asked for).
typedef bool ptx_may_fn(uint64_t at, size_t bytes);

struct ptx_grid {
    unsigned x, y, threads;
    bool backwards; // threads and blocks in descending order: shows what depends on it
    bool unfused;   // a machine that computes wrong: fma rounds twice
};
// false with a sentence in `error`: what a GPU might have done otherwise, or not at all.
bool ptx_run(struct ptx_module *m, const struct ptx_kernel *k, const struct ptx_grid *grid,
             const void *param, ptx_may_fn *may, char *error, size_t error_size);
