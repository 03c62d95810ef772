// Which clones this processor can run.
#include "kernels.h"

extern const kernel_set kernel_set_portable;

#if defined(__x86_64__)
extern const kernel_set kernel_set_x86_64_v4, kernel_set_x86_64_v3, kernel_set_x86_64_v3_wide;

const kernel_set *kernel_set_at(size_t index) {
  __builtin_cpu_init();
  int has_v4 = __builtin_cpu_supports("x86-64-v4") != 0, has_v3 = __builtin_cpu_supports("x86-64-v3") != 0;
  const kernel_set *sets[4];
  size_t count = 0;
  if (has_v4) sets[count++] = &kernel_set_x86_64_v4;
  if (has_v3) sets[count++] = &kernel_set_x86_64_v3;
  if (has_v3) sets[count++] = &kernel_set_x86_64_v3_wide;
  sets[count++] = &kernel_set_portable;
  return index < count ? sets[index] : 0;
}
#else
const kernel_set *kernel_set_at(size_t index) { return index == 0 ? &kernel_set_portable : 0; }
#endif

const kernel_set *kernel_set_best(void) { return kernel_set_at(0); }
