// AVX-512: 12 rows x 32 columns take 24 of 32 registers, and so many sums at once keep two units busy.
#if defined(__x86_64__)
#define CLONE x86_64_v4
#define CLONE_NAME "x86-64-v4"
#define CLONE_HAS_FMA 1
#define CLONE_TILE_ROWS 12
#define CLONE_TILE_PANELS 2
#pragma clang attribute push(__attribute__((target("arch=x86-64-v4"))), apply_to = function)
#include "clone.h"
#pragma clang attribute pop
#endif
