// swift-tools-version: 6.1
import PackageDescription

// `make` says which commit it builds. From the environment, since SwiftPM keeps what it learnt from git itself for later commits.
let commit = Context.environment["BERT4REC_COMMIT"] ?? "unknown"

let package = Package(
  name: "bert4rec-dist",
  products: [
    // For those who want the trainer, the evaluator or the data readers in a Swift program of their own.
    .library(name: "BERT4RecDist", targets: ["BERT4RecDist"]),
    .executable(name: "bert4rec-dist", targets: ["bert4rec-dist"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
    // SHA-256 of checkpoints, data sets and parameters.
    .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
  ],
  targets: [
    // System libraries. SwiftPM finds them through pkg-config, so a cluster's modules work by PKG_CONFIG_PATH.
    // "ompi-c", not "mpi": the latter carries C++ flags on some distributions.
    .systemLibrary(name: "CMPI", pkgConfig: "ompi-c", providers: [.apt(["libopenmpi-dev"])]),
    .systemLibrary(name: "COpenBLAS", pkgConfig: "openblas", providers: [.apt(["libopenblas-dev"])]),
    .systemLibrary(name: "CArchive", pkgConfig: "libarchive", providers: [.apt(["libarchive-dev"])]),
    // What Swift's Glibc module leaves out.
    .systemLibrary(name: "CLinux"),
    // Vector kernels; multiversioned by attributes in the source, so no unsafeFlags.
    .target(name: "CKernels"),
    // Lets OpenBLAS be loaded where addresses are limited; before `main`, so in C.
    .target(name: "CLimitedStart"),
    .target(name: "CBuildFacts", cSettings: [.define("BERT4REC_COMMIT", to: "\"\(commit)\"")]),

    // Each target depends only on targets above it.
    .target(
      name: "SystemSupport",
      dependencies: ["CLinux", .product(name: "Crypto", package: "swift-crypto")]),
    // The original's files: checkpoints of TensorFlow, records of instances.
    .target(name: "TensorFlowFiles", dependencies: ["SystemSupport"]),
    .target(name: "InteractionData", dependencies: ["CArchive", "CLinux", "SystemSupport"]),
    .target(name: "Masking", dependencies: ["InteractionData"]),
    .target(name: "BERT4RecModel", dependencies: ["CKernels", "COpenBLAS", "Masking", "SystemSupport"]),
    .target(name: "Communication", dependencies: ["CMPI", "SystemSupport"]),
    // A table whose rows belong to several ranks.
    .target(name: "TableSharding", dependencies: ["Communication", "SystemSupport"]),
    .target(name: "GradientSum", dependencies: ["CKernels", "Communication", "TableSharding", "SystemSupport"]),
    .target(name: "StallDetection", dependencies: ["Communication", "SystemSupport"]),
    .target(
      name: "Evaluation",
      dependencies: ["InteractionData", "Masking", "CKernels", "Communication", "TableSharding", "SystemSupport"]),
    .target(name: "Checkpoints", dependencies: ["InteractionData", "BERT4RecModel", "TensorFlowFiles", "SystemSupport"]),
    // The recipes, compiled into the program so that it needs no files beside it.
    .target(
      name: "Recipes", path: "configs",
      resources: [
        "beauty", "beauty-64", "ml-100k", "ml-1m", "ml-1m-256", "ml-1m-64", "ml-20m", "ml-20m-64", "steam", "steam-64",
      ].map { .embedInCode("\($0).yaml") }),
    .target(
      name: "Training",
      dependencies: [
        "InteractionData", "Masking", "BERT4RecModel", "Communication", "GradientSum", "TableSharding", "StallDetection", "Evaluation",
        "Checkpoints", "Recipes", "CBuildFacts", "CKernels", "TensorFlowFiles", "SystemSupport", .product(name: "Yams", package: "Yams"),
      ]),
    // Search for settings: training runs, one after the other.
    .target(
      name: "Tuning",
      dependencies: [
        "InteractionData", "Masking", "Communication", "Checkpoints", "Training", "SystemSupport",
        .product(name: "Yams", package: "Yams"),
      ]),
    // The hosts, the network and the disk of a run.
    .target(name: "Diagnosis", dependencies: ["BERT4RecModel", "Communication", "Training", "SystemSupport"]),
    // A run, or several, as one HTML page.
    .target(
      name: "Reporting",
      dependencies: ["InteractionData", "Communication", "Evaluation", "Checkpoints", "Training", "SystemSupport"]),
    // One `import BERT4RecDist` for users of the library.
    .target(
      name: "BERT4RecDist",
      dependencies: [
        "InteractionData", "Masking", "BERT4RecModel", "Communication", "GradientSum", "StallDetection", "Evaluation",
        "Checkpoints", "Training", "Tuning", "Diagnosis", "Reporting", "SystemSupport",
      ]),
    .executableTarget(
      name: "bert4rec-dist",
      dependencies: ["BERT4RecDist", "CLimitedStart", .product(name: "ArgumentParser", package: "swift-argument-parser")]),

    // What several of the tests share.
    .target(
      name: "TestSupport", dependencies: ["Checkpoints", "InteractionData", "SystemSupport"], path: "Tests/TestSupport"),
    .testTarget(name: "SystemSupportTests", dependencies: ["SystemSupport", "TestSupport"]),
    .testTarget(
      name: "TensorFlowFilesTests", dependencies: ["TensorFlowFiles", "SystemSupport", "TestSupport"], resources: [.copy("Fixtures")]),
    .testTarget(name: "InteractionDataTests", dependencies: ["InteractionData", "TestSupport"]),
    .testTarget(name: "MaskingTests", dependencies: ["Masking"]),
    .testTarget(name: "BERT4RecModelTests", dependencies: ["BERT4RecModel", "CKernels"]),
    // What the tests of ranks start under mpirun.
    .executableTarget(
      name: "ranks-probe",
      dependencies: ["Communication", "GradientSum", "StallDetection", "TableSharding", "SystemSupport"],
      path: "Tests/RanksProbe"),
    .target(name: "ProbeRunner", dependencies: ["TestSupport"], path: "Tests/ProbeRunner"),
    .testTarget(
      name: "CommunicationTests",
      dependencies: ["Communication", "SystemSupport", "ProbeRunner", "ranks-probe"]),
    .testTarget(
      name: "GradientSumTests",
      dependencies: ["Communication", "GradientSum", "SystemSupport", "ProbeRunner", "ranks-probe"]),
    .testTarget(
      name: "TableShardingTests", dependencies: ["TableSharding", "SystemSupport", "ProbeRunner", "ranks-probe"]),
    .testTarget(
      name: "StallDetectionTests",
      dependencies: ["Communication", "StallDetection", "ProbeRunner", "ranks-probe"]),
    .testTarget(
      name: "EvaluationTests", dependencies: ["Communication", "Evaluation", "TableSharding", "TestSupport"],
      resources: [.copy("Fixtures")]),
    .testTarget(
      name: "CheckpointsTests", dependencies: ["Checkpoints", "SystemSupport", "TestSupport"], resources: [.copy("Fixtures")]),
    .testTarget(
      name: "TrainingTests", dependencies: ["Training", "Recipes", "TestSupport"], resources: [.copy("Fixtures")]),
    .testTarget(name: "TuningTests", dependencies: ["Tuning", "SystemSupport"]),
    .testTarget(name: "DiagnosisTests", dependencies: ["Communication", "Diagnosis"]),
    .testTarget(name: "ReportingTests", dependencies: ["Reporting", "SystemSupport", "TestSupport"]),
    // What the articles of the library's documentation show.
    .testTarget(
      name: "LibraryTests",
      dependencies: [
        "BERT4RecDist", "BERT4RecModel", "CKernels", "InteractionData", "Masking", "SystemSupport", "Training", "TestSupport",
      ]),
    // What FuzzTests start: damaged inputs end processes of their own.
    .executableTarget(
      name: "fuzz-probe",
      dependencies: [
        "InteractionData", "Masking", "BERT4RecModel", "Checkpoints", "Training", "TensorFlowFiles", "SystemSupport",
        "TestSupport",
      ],
      path: "Tests/FuzzProbe"),
    .testTarget(name: "FuzzTests", dependencies: ["TestSupport", "fuzz-probe"]),
    // Runs the program as a user does, also under mpirun; depends on the executable so that it is built first.
    .testTarget(
      name: "CommandTests",
      dependencies: ["bert4rec-dist", "BERT4RecDist", "TestSupport", .product(name: "Yams", package: "Yams")]),
  ]
)
