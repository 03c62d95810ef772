import Foundation
import Testing

extension CommandTests {
  /// A step allocates nothing once the first ones have made their buffers.
  @Suite struct Allocations {
    /// Counts calls of malloc and its kin, and says how many at the end of the process.
    private static let counter = """
      #define _GNU_SOURCE
      #include <dlfcn.h>
      #include <stdio.h>
      #include <stdlib.h>
      static long count;
      static void *(*real_malloc)(size_t), *(*real_realloc)(void *, size_t);
      static int (*real_posix_memalign)(void **, size_t, size_t);
      void *malloc(size_t n) {
        if (!real_malloc) real_malloc = dlsym(RTLD_NEXT, "malloc");
        __atomic_add_fetch(&count, 1, __ATOMIC_RELAXED);
        return real_malloc(n);
      }
      void *realloc(void *p, size_t n) {
        if (!real_realloc) real_realloc = dlsym(RTLD_NEXT, "realloc");
        __atomic_add_fetch(&count, 1, __ATOMIC_RELAXED);
        return real_realloc(p, n);
      }
      int posix_memalign(void **p, size_t a, size_t n) {
        if (!real_posix_memalign) real_posix_memalign = dlsym(RTLD_NEXT, "posix_memalign");
        __atomic_add_fetch(&count, 1, __ATOMIC_RELAXED);
        return real_posix_memalign(p, a, n);
      }
      __attribute__((destructor)) static void tell(void) { fprintf(stderr, "allocations: %ld\\n", count); }
      """

    private static let compiler = ["/usr/bin/cc", "/usr/bin/gcc", "/usr/bin/clang"]
      .first { FileManager.default.isExecutableFile(atPath: $0) }

    @Test(
      .enabled(if: compiler != nil, "no C compiler to build the counter with"),
      arguments: [
        (1, [:]), (2, [:]), (2, ["loss": "sampled", "negative_sampling": "popularity"]),
        (1, ["loss": "gbce", "negatives_per": "position"]),
        (1, ["loss": "sce"]), (2, ["loss": "sampled", "table": "sharded", "table_adam": "lazy"]),
      ] as [(Int, [String: String])])
    func aStepAllocatesNothing(_ threads: Int, _ loss: [String: String]) throws {
      try Program.withTemporaryFolder { folder in
        try Data(Self.counter.utf8).write(to: URL(fileURLWithPath: folder + "/counter.c"))
        let built = try Program.execute(
          try #require(Self.compiler), ["-shared", "-fPIC", "-O1", "counter.c", "-o", "counter.so", "-ldl"], in: folder)
        try #require(built.status == 0, "\(built.errors)")
        func allocations(steps: Int) throws -> Int {
          let result = try Program.run(
            ["bench", "--steps", "\(steps)", "--threads", "\(threads)"] + settings(loss),
            environment: ["LD_PRELOAD": folder + "/counter.so"], in: folder)
          #expect(result.status == 0, "\(result.errors)")
          let line = try #require(result.errors.split(separator: "\n").first { $0.hasPrefix("allocations: ") })
          return try #require(Int(line.dropFirst("allocations: ".count)))
        }
        // The list of times grows in bench itself, a few times over so many steps; an epoch has 69 of them.
        let (few, many) = (try allocations(steps: 10), try allocations(steps: 210))
        #expect(many - few < 20, "\(many - few) allocations in 200 steps")
      }
    }
  }
}
