// What Swift's Glibc module leaves out: what glibc declares for _GNU_SOURCE alone, and what has a variable number of arguments; and
// what the compiler gives to C alone.
#pragma once
#include <sys/syscall.h>
#include <unistd.h>

// A file in memory without a name, closed in programs that this one starts: gone with the last process that has it open or mapped. -1,
// with errno, where there is none. The name is for /proc alone.
static inline int linux_memory_file(const char *name) { return (int)syscall(SYS_memfd_create, name, 1u); }

// Moves pages to where there is room for `to` bytes, without copying them: mremap that may move. MAP_FAILED, with errno, where there is
// no room.
static inline void *linux_move_pages(void *pages, unsigned long from, unsigned long to) {
  return (void *)syscall(SYS_mremap, pages, from, to, 1ul);
}

// Asks the processor for what stands at an address, which need not be one.
static inline void prefetch(const void *address) { __builtin_prefetch(address); }
