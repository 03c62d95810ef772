// OpenBLAS's C interface, and what keeps its OpenMP build to one thread.
#pragma once
#include <cblas.h>
#include <stddef.h>

// The dynamic linker's look-up; <dlfcn.h> hides the handle for "any library" (a null pointer) behind _GNU_SOURCE.
extern void *dlsym(void *handle, const char *name);

// Keeps products to the thread that calls this. The pthread build needs to be told once per process; the OpenMP build (what many
// clusters' modules have) forgets or ignores that, and asks OpenMP, whose setting is each thread's own.
static inline void openblas_keep_to_this_thread(void) {
  static _Thread_local int is_told = 0;
  if (is_told) return;
  is_told = 1;
  openblas_set_num_threads(1);
  if (openblas_get_parallel() == OPENBLAS_OPENMP) {
    void (*set_threads)(int);
    *(void **)&set_threads = dlsym(NULL, "omp_set_num_threads");
    if (set_threads) set_threads(1);
  }
}
