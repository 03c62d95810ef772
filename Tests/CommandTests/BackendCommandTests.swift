import BERT4RecDist
import Foundation
import Testing

extension CommandTests {
  /// `backend`: one arithmetic on every processor with `native`, OpenBLAS's with `openblas`.
  @Suite struct Backends {
    private static let steps = settings(["num_train_steps": 20])

    /// What docs/reproducibility.md shows. The same on every machine with fused multiply-add, on any number of ranks and threads, whatever its C
    /// library, its OpenBLAS and the width of its registers; a change of the arithmetic changes it, and `ProgramVersion.numerics`.
    static let hashOfSixtySteps =
      "f937e10f9163ff8f750d9d6bffe5e6147ef0208cb0b4926b5307ca1aa8af1a29"

    @Test(.enabled(if: BackendChoice.runsNative, "this processor has no AVX2 and FMA"))
    func theDemoHasOneHash() throws {
      try Program.withTemporaryFolder { folder in
        let result = try Program.run(["train"] + settings(["num_train_steps": 60]), in: folder)
        try #require(result.status == 0, "\(result.errors)")
        #expect(try RunFiles(folder + "/runs/demo").hash == Self.hashOfSixtySteps)
        #expect(result.errors.contains("; backend: native (kernels "))
      }
    }

    /// The backend is kept in the checkpoint, and a run is resumed under its own only.
    @Test func aRunKeepsItsBackend() throws {
      try Program.withTemporaryFolder { folder in
        let train = ["train", "--threads", "1"]
        let openblas = try Program.run(train + Self.steps + settings(["backend": "openblas"]), in: folder)
        try #require(openblas.status == 0, "\(openblas.errors)")
        #expect(openblas.errors.contains("; backend: openblas (OpenBLAS "))
        let run = RunFiles(folder + "/runs/demo")
        #expect(try run.text("config.yaml").contains("backend: openblas"))
        #expect(try run.text("checkpoints/step-00000020/trainer.json").contains("\"backend\": \"openblas\""))
        guard BackendChoice.runsNative else { return }
        let other = try Program.run(train + settings(["num_train_steps": 30, "backend": "native"]), in: folder)
        #expect(other.status == 64)
        #expect(other.errors.contains("backend was openblas and is native"), "\(other.errors)")
        let further = try Program.run(train + settings(["num_train_steps": 30]), in: folder)
        #expect(further.status == 0 && further.errors.contains("; backend: openblas (OpenBLAS "), "\(further.errors)")
      }
    }

    /// A checkpoint records what decides the bits; a run that is resumed where that differs says so first, and only there.
    @Test func anotherArithmeticIsSaidOnResuming() throws {
      func resume(
        _ settings: [String], first: (environment: [String: String], ranks: Int), then: (environment: [String: String], ranks: Int)
      ) throws -> String {
        try Program.withTemporaryFolder { folder in
          let train = ["train", "--run", "run", "--threads", "1"] + Self.steps + settings
          let stopped = try Program.mpirun(
            ranks: first.ranks, train + ["--stop-after", "10"], environment: first.environment, in: folder)
          try #require(stopped.status == 75, "\(stopped.errors)")
          #expect(!stopped.errors.contains("was computed elsewhere"))
          let rest = try Program.mpirun(ranks: then.ranks, train, environment: then.environment, in: folder)
          try #require(rest.status == 0, "\(rest.errors)")
          return rest.errors
        }
      }
      let (here, old) = ([String: String](), ["OPENBLAS_CORETYPE": "Nehalem"])
      let warning =
        "warning: run/checkpoints/step-00000010 was computed elsewhere, so the run will not have the bits of one that stayed there: "
      let openblas = settings(["backend": "openblas"])
      let moved = try resume(openblas, first: (old, 2), then: (here, 2))
      #expect(
        moved.components(separatedBy: warning + "openblas was OpenBLAS ").count == 2 && moved.contains(", Nehalem and is OpenBLAS "),
        "\(moved)")
      let (said, resumed) = (try #require(moved.range(of: warning)), try #require(moved.range(of: "resuming from")))
      #expect(said.lowerBound < resumed.lowerBound)
      // Any number of ranks adds alike.
      #expect(try !resume(openblas, first: (here, 1), then: (here, 2)).contains("was computed elsewhere"))
      let fast = try resume(settings(["reduction": "fast"]), first: (here, 2), then: (here, 4))
      #expect(fast.components(separatedBy: warning + "ranks was 2 and is 4\n").count == 2, "\(fast)")
      guard BackendChoice.runsNative else { return }
      #expect(try !resume(settings(["backend": "native"]), first: (old, 1), then: (here, 3)).contains("was computed elsewhere"))
    }

    /// Hosts that multiply differently are named where that decides about bits, and only there. OpenBLAS may be told to use the
    /// kernels of an older processor, which the native backend does not care about.
    @Test func hostsThatMultiplyDifferentlyAreNamed() throws {
      // Not `mpirun -np 1 a : -np 1 b`: the launcher of Open MPI 5.0.7 crashes on it.
      func train(_ backend: String, ranks: Int = 2, secondRank setting: String = "") throws -> (hash: String, errors: String) {
        try Program.withTemporaryFolder { folder in
          let train = ["train", "--threads", "1"] + Self.steps + settings(["backend": backend])
          let script = "[ $OMPI_COMM_WORLD_RANK = 0 ] || export \(setting); exec \"$@\""
          let result = try Program.execute(
            "/usr/bin/env", ["mpirun", "-np", "\(ranks)", "/bin/sh", "-c", script, "sh", Program.path] + train,
            environment: Program.mpiEnvironment, in: folder)
          try #require(result.status == 0, "\(result.errors)")
          return (try RunFiles(folder + "/runs/demo").hash, result.errors)
        }
      }
      let warning = "warning: the hosts multiply with different code: '"
      let older = "OPENBLAS_CORETYPE=Nehalem"
      let named = try train("openblas", secondRank: older).errors
      #expect(named.components(separatedBy: warning).count == 2 && named.contains("Nehalem"), "\(named)")
      #expect(try !train("openblas").errors.contains(warning))
      guard BackendChoice.runsNative else { return }
      let native = try train("native", secondRank: older)
      #expect(!native.errors.contains("warning"), "\(native.errors)")
      #expect(try native.hash == train("native", ranks: 1).hash)
    }

    /// The yardstick of `bench` is cblas_sgemm itself, whatever multiplies in the model: a library in front of it counts the calls.
    @Test func theYardstickIsOpenBLASItself() throws {
      try Program.withTemporaryFolder { folder in
        let source = """
          #define _GNU_SOURCE
          #include <dlfcn.h>
          #include <stdio.h>
          #include <stdlib.h>
          static int squares, others;
          void cblas_sgemm(int o, int ta, int tb, int m, int n, int k, float x, const float *a, int la, const float *b, int lb,
                           float y, float *c, int lc) {
            void (*next)(int, int, int, int, int, int, float, const float *, int, const float *, int, float, float *, int);
            *(void **)&next = dlsym(RTLD_NEXT, "cblas_sgemm");
            if (m == 1024 && n == 1024 && k == 1024) squares++;
            else others++;
            next(o, ta, tb, m, n, k, x, a, la, b, lb, y, c, lc);
          }
          __attribute__((destructor)) static void tell(void) {
            FILE *file = fopen(getenv("COUNT_FILE"), "w");
            fprintf(file, "%d %d", squares, others);
            fclose(file);
          }
          """
        try source.write(toFile: folder + "/count.c", atomically: true, encoding: .utf8)
        let compiler = try Program.execute(
          "/usr/bin/env", ["clang", "-shared", "-fPIC", "-o", "count.so", "count.c"], in: folder)
        try #require(compiler.status == 0, "\(compiler.errors)")
        for backend in BackendChoice.runsNative ? ["native", "openblas"] : ["openblas"] {
          let bench = ["bench", "--json", "--threads", "1", "--steps", "1"] + settings(["backend": backend])
          let result = try Program.execute(
            Program.path, bench,
            environment: ["LD_PRELOAD": folder + "/count.so", "COUNT_FILE": folder + "/count.txt"], in: folder)
          try #require(result.status == 0, "\(result.errors)")
          #expect(result.output.contains("\"backend\":\"\(backend)\""))
          let counts = try String(contentsOfFile: folder + "/count.txt", encoding: .utf8).split(separator: " ").map { Int($0) }
          #expect((counts.first ?? nil) ?? 0 >= 8, "\(backend): \(counts)")
          #expect(((counts.last ?? nil) ?? 0 > 0) == (backend == "openblas"), "\(backend): \(counts)")
        }
      }
    }

    private static let hasEmulator = ["qemu-aarch64", "aarch64-linux-gnu-ld", "clang"].allSatisfy { command in
      (try? Program.execute("/usr/bin/env", ["which", command]).status == 0) ?? false
    }

    /// The kernels for 64-bit ARM, in an emulator.
    @Test(
      .enabled(
        if: hasEmulator && BackendChoice.runsNative,
        "needs AVX2 and FMA, clang, qemu-user, and libc6-dev-arm64-cross, libgcc-12-dev-arm64-cross, binutils-aarch64-linux-gnu"))
    func kernelsOnARMHaveTheSameBits() throws {
      let result = try Program.execute(Program.root + "/Tests/OtherSystems/aarch64-kernels.sh", [])
      #expect(result.status == 0 && result.output.contains("the same bits"), "\(result.output)\(result.errors)")
    }
  }
}
