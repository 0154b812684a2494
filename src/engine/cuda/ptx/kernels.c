// The GPU's code, one translation unit: clang makes PTX of it (cuda.cmake), the program carries the
// text, and the driver makes machine code of that for the device it finds.
#include "engine/cuda/ptx/impl_attention.h"
#include "engine/cuda/ptx/impl_embed.h"
#include "engine/cuda/ptx/impl_measure.h"
#include "engine/cuda/ptx/impl_plain.h"
#include "engine/cuda/ptx/impl_quantised.h"
#include "engine/cuda/ptx/impl_rows.h"
