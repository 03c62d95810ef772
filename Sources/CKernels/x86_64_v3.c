// AVX2 and FMA: 6 rows x 16 columns fill the sixteen registers with 12 sums, 2 of B, 1 of A.
#if defined(__x86_64__)
#define CLONE x86_64_v3
#define CLONE_NAME "x86-64-v3"
#define CLONE_HAS_FMA 1
#define CLONE_TILE_ROWS 6
#define CLONE_TILE_PANELS 1
#pragma clang attribute push(__attribute__((target("arch=x86-64-v3"))), apply_to = function)
#include "clone.h"
#pragma clang attribute pop
#endif
