// AVX2 with the tiles of AVX-512: slower, and never chosen. With it a test on any machine holds these tiles to the others' bits.
#if defined(__x86_64__)
#define CLONE x86_64_v3_wide
#define CLONE_NAME "x86-64-v3, tiles of x86-64-v4"
#define CLONE_HAS_FMA 1
#define CLONE_TILE_ROWS 12
#define CLONE_TILE_PANELS 2
#pragma clang attribute push(__attribute__((target("arch=x86-64-v3"))), apply_to = function)
#include "clone.h"
#pragma clang attribute pop
#endif
