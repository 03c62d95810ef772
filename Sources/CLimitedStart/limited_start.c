// Lets the program start, or be refused, where addresses are limited (ulimit -v, many batch systems).
//
// When OpenBLAS is loaded it starts a thread per core, which this program never uses, and each takes 128 MiB of addresses; newer
// versions take as much for the main thread, too. Where it cannot have them it asks again for ever, at full speed, and the program would
// never come to its `main`. Only a variable in the environment keeps it from starting threads. So this runs before the constructors of
// any library: it starts the program anew, once, with that variable set, and refuses where even one buffer does not fit. (The
// environment cannot simply be changed here: the C library takes over the kernel's afterwards.)
#define _GNU_SOURCE
#include "limited_start.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
  MEBIBYTE = 1 << 20,
  // OpenBLAS's buffer of 128, and what constructors of other libraries take before it.
  NEEDED = 160,
  USAGE = 64,  // ExitCode.usage
};

static char setting[] = "OPENBLAS_NUM_THREADS=1";
// Else the C library reserves 64 MiB of addresses for each thread that allocates, where it can: what fits would be luck.
static char arenas[] = "MALLOC_ARENA_MAX=1";

static rlim_t limit_of(int resource) {
  struct rlimit limit;
  return getrlimit(resource, &limit) == 0 ? limit.rlim_cur : RLIM_INFINITY;
}

static const char *value_of(const char *name, char **environment) {
  const size_t length = strlen(name);
  for (; *environment != NULL; environment++) {
    if (strncmp(*environment, name, length) == 0 && (*environment)[length] == '=') return *environment + length + 1;
  }
  return NULL;
}

static void start_anew(char **arguments, char **environment) {
  size_t count = 0;
  while (environment[count] != NULL) count++;
  // On the stack, which has held as much before: there may be little else.
  char *changed[count + 3];
  size_t kept = 0;
  changed[kept++] = setting;
  if (value_of("MALLOC_ARENA_MAX", environment) == NULL) changed[kept++] = arenas;
  for (size_t i = 0; i < count; i++) {
    if (strncmp(environment[i], setting, strlen("OPENBLAS_NUM_THREADS=")) != 0) changed[kept++] = environment[i];
  }
  changed[kept] = NULL;
  execve("/proc/self/exe", arguments, changed);
  // Where there is no /proc: by the name that the kernel was given. Where that fails, too, things stay as they are.
  execve((const char *)getauxval(AT_EXECFN), arguments, changed);
}

static void refuse_if_too_small(rlim_t limit, const char *option, char **environment) {
  const size_t size = (size_t)NEEDED * MEBIBYTE;
  void *trial = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (trial != MAP_FAILED) {
    munmap(trial, size);
    return;
  }
  // One rank of each host says it.
  const char *rank = value_of("OMPI_COMM_WORLD_LOCAL_RANK", environment);
  if (rank == NULL) rank = value_of("SLURM_LOCALID", environment);
  if (rank == NULL || strcmp(rank, "0") == 0) {
    char line[256];
    const int length = snprintf(
        line, sizeof line,
        "error: not enough memory: besides what is loaded so far, the program needs %d MiB of addresses to start, but this "
        "process's limit (ulimit %s) is %llu MiB; raise that limit\n",
        NEEDED, option, (unsigned long long)limit / MEBIBYTE);
    if (write(STDERR_FILENO, line, (size_t)length) < 0) _exit(USAGE);
  } else {
    // mpirun ends all ranks when one leaves, and the one that speaks must have spoken.
    sleep(2);
  }
  _exit(USAGE);
}

static void before_libraries(int argument_count, char **arguments, char **environment) {
  (void)argument_count;
  const rlim_t addresses = limit_of(RLIMIT_AS), data = limit_of(RLIMIT_DATA);
  if (addresses == RLIM_INFINITY && data == RLIM_INFINITY) return;
  const char *threads = value_of("OPENBLAS_NUM_THREADS", environment);
  if (threads == NULL || strcmp(threads, "1") != 0) start_anew(arguments, environment);
  refuse_if_too_small(addresses < data ? addresses : data, addresses < data ? "-v" : "-d", environment);
}

// Of executables alone the linker takes this section, and the loader calls what stands there before anything else of theirs.
__attribute__((used, section(".preinit_array"))) static void (*const entry)(int, char **, char **) = before_libraries;
