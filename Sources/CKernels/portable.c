// What the compiler's target has without asking the processor: SSE2 on x86-64, NEON with fused multiply-add on 64-bit ARM, where 4
// rows x 16 columns take 16 of 32 registers.
#define CLONE portable
#if defined(__aarch64__)
#define CLONE_NAME "aarch64"
#define CLONE_HAS_FMA 1
#define CLONE_TILE_ROWS 4
#else
#define CLONE_NAME "baseline"
#define CLONE_HAS_FMA 0
#define CLONE_TILE_ROWS 6
#endif
#define CLONE_TILE_PANELS 1
#include "clone.h"
