import Foundation
import Testing

extension CommandTests {
  /// What a power cut may not take: a file's name is on the disk when its folder has been forced there.
  @Suite struct PowerCut {
    /// A library in front of fsync tells the folders that are forced, and whether each holds metrics.jsonl then.
    private static let source = """
      #define _GNU_SOURCE
      #include <dlfcn.h>
      #include <stdio.h>
      #include <stdlib.h>
      #include <sys/stat.h>
      #include <unistd.h>
      int fsync(int descriptor) {
        int (*next)(int);
        struct stat status;
        *(void **)&next = dlsym(RTLD_NEXT, "fsync");
        if (fstat(descriptor, &status) == 0 && S_ISDIR(status.st_mode)) {
          char link[64], path[4000], file[4096];
          snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
          ssize_t length = readlink(link, path, sizeof path - 1);
          path[length < 0 ? 0 : length] = 0;
          snprintf(file, sizeof file, "%s/metrics.jsonl", path);
          FILE *list = fopen(getenv("FOLDER_LIST"), "a");
          fprintf(list, "%s%s\\n", path, access(file, F_OK) == 0 ? " with metrics" : "");
          fclose(list);
        }
        return next(descriptor);
      }
      """

    @Test func newFoldersAndFilesAreForcedToTheDisk() throws {
      try Program.withTemporaryFolder { folder in
        try Self.source.write(toFile: folder + "/list.c", atomically: true, encoding: .utf8)
        let compiler = try Program.execute("/usr/bin/env", ["clang", "-shared", "-fPIC", "-o", "list.so", "list.c"], in: folder)
        try #require(compiler.status == 0, "\(compiler.errors)")
        try FileManager.default.createDirectory(atPath: folder + "/work", withIntermediateDirectories: false)
        let result = try Program.execute(
          Program.path, ["train", "--run", "a/b/run", "--stop-after", "2"],
          environment: ["LD_PRELOAD": folder + "/list.so", "FOLDER_LIST": folder + "/list.txt"], in: folder + "/work")
        try #require(result.status == 75, "\(result.errors)")
        let text = try String(contentsOfFile: folder + "/list.txt", encoding: .utf8)
        let forced = Set(text.split(separator: "\n").compactMap { $0.components(separatedBy: "/work").last })
        for name in ["", "/a", "/a/b", "/a/b/run", "/a/b/run with metrics", "/a/b/run/checkpoints"] {
          #expect(forced.contains(name), "\(name) is not among \(forced.sorted())")
        }
      }
    }
  }
}
