// The processor's own limit: fused multiply-adds that depend on nothing but themselves, in registers.
#include <time.h>

#include "kernels.h"

typedef float f16 __attribute__((ext_vector_type(16)));
enum { CHAINS_512 = 16, CHAINS_256 = 6, ROUNDS = 1 << 14 };

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

// `chains` sums of 16 lanes, each multiplied and added to once per round. Adding nearly nothing keeps them normal numbers.
#define CHAINS(chains) \
  f16 sums[chains]; \
  for (int i = 0; i < chains; i++) sums[i] = (float)(i + 1); \
  for (int round = 0; round < ROUNDS; round++) \
    for (int i = 0; i < chains; i++) sums[i] = __builtin_elementwise_fma(sums[i], (f16)0.9999999f, (f16)1e-9f); \
  f16 total = 0; \
  for (int i = 0; i < chains; i++) total += sums[i]; \
  return total[0];

#if defined(__x86_64__)
__attribute__((target("arch=x86-64-v4"), min_vector_width(512), noinline)) static float run_512(void) { CHAINS(CHAINS_512) }
__attribute__((target("arch=x86-64-v3"), noinline)) static float run_256(void) { CHAINS(CHAINS_256) }
#elif defined(__aarch64__)
__attribute__((noinline)) static float run_256(void) { CHAINS(CHAINS_256) }
#endif

double kernel_fma_rate(double seconds) {
  float (*run)(void) = 0;
  int chains = CHAINS_256;
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("x86-64-v4")) run = run_512, chains = CHAINS_512;
  else if (__builtin_cpu_supports("x86-64-v3")) run = run_256;
#elif defined(__aarch64__)
  run = run_256;
#endif
  if (!run) return 0;
  double best = 1e9, end = now() + seconds;
  volatile float kept;
  do {
    double start = now();
    kept = run();
    double time = now() - start;
    if (time < best) best = time;
  } while (now() < end);
  (void)kept;
  return 2.0 * 16 * chains * ROUNDS / best;
}
