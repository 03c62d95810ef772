// What Swift's Glibc module leaves out: what glibc declares for _GNU_SOURCE alone, and what has a variable number of arguments.
#pragma once
#include <sys/syscall.h>
#include <unistd.h>

// A file in memory without a name, closed in programs that this one starts: gone with the last process that has it open or mapped. -1,
// with errno, where there is none. The name is for /proc alone.
static inline int linux_memory_file(const char *name) { return (int)syscall(SYS_memfd_create, name, 1u); }
