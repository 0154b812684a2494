#include "matmul.h"
#include "amx.h"

#include <cblas-openblas.h>

static int use_amx;

void matmul_init(int allow_amx)
{
    openblas_set_num_threads(1); // the trainer's threads each call it for themselves
    use_amx = allow_amx && amx_usable();
}

const char *matmul_name(void)
{
    return use_amx ? "AMX bf16" : openblas_get_corename();
}

void matmul(size_t m, size_t n, size_t k, struct factor a, struct factor b, int add, float *out,
            size_t out_step)
{
    if (use_amx) {
        amx_product(m, n, k, a, b, add, out, out_step);
        return;
    }
    cblas_sgemm(CblasRowMajor, a.step_k == 1 ? CblasNoTrans : CblasTrans,
                b.step_k == 1 ? CblasTrans : CblasNoTrans, (int)m, (int)n, (int)k, 1, a.base,
                (int)(a.step_k == 1 ? a.step_i : a.step_k), b.base,
                (int)(b.step_k == 1 ? b.step_i : b.step_k), add ? 1 : 0, out, (int)out_step);
}
