import Foundation
import Testing
import Yams

extension CommandTests {
  /// cluster/Containerfile, cluster/kubernetes and cluster/apptainer, which no test can run everywhere: that they agree with each
  /// other and with the program. Tests/Reference/check_mpijob.py holds the MPIJob against the operator's schema.
  @Suite struct ClusterFiles {
    private static func text(_ file: String) throws -> String {
      try String(contentsOfFile: Program.root + "/" + file, encoding: .utf8)
    }

    private static func words(_ node: Node?) throws -> [String] { try #require(node?.array(of: String.self)) }

    private func job() throws -> Node {
      let documents = try Array(Yams.compose_all(yaml: Self.text("cluster/kubernetes/mpijob.yaml")))
      return try #require(documents.first { $0["kind"]?.string == "MPIJob" }?["spec"])
    }

    private func container(_ job: Node, _ replica: String) throws -> (pod: Node, container: Node) {
      let pod = try #require(job["mpiReplicaSpecs"]?[replica]?["template"]?["spec"])
      let containers = try #require(pod["containers"]?.array())
      try #require(containers.count == 1)
      return (pod, containers[0])
    }

    @Test func theJobFitsTheImage() throws {
      let image = try Self.text("cluster/Containerfile")
      let job = try job()
      let user = try #require(image.firstMatch(of: /\nUSER (\d+):(\d+)\n/))
      #expect(image.contains("useradd --create-home --uid \(user.1) "))
      #expect(job["sshAuthMountPath"]?.string == "/home/bert4rec/.ssh" && image.contains("'HostKey /home/bert4rec/.ssh/id_rsa'"))
      let port = try #require(image.firstMatch(of: /'Port (\d+)' 'HostKey/)).1
      #expect(image.contains("'  Port \(port)'"))
      for replica in ["Launcher", "Worker"] {
        let (pod, container) = try container(job, replica)
        let security = try #require(pod["securityContext"])
        #expect(security["runAsNonRoot"]?.bool == true)
        for key in ["runAsUser", "runAsGroup", "fsGroup"] { #expect(security[key]?.string == String(user.1), "\(replica): \(key)") }
        #expect(container["resources"]?["limits"]?["cpu"] == container["resources"]?["requests"]?["cpu"])
        // Whatever is mounted is a volume of the pod, and each has its place.
        let mounts = try #require(container["volumeMounts"]?.array()).compactMap { $0["name"]?.string }
        let volumes = try #require(pod["volumes"]?.array()).compactMap { $0["name"]?.string }
        #expect(mounts == volumes && mounts.contains("shm"))
      }
      let (_, worker) = try container(job, "Worker")
      #expect(try Self.words(worker["command"]) == ["/usr/sbin/sshd"])
      #expect(try Self.words(worker["args"]) == ["-De", "-f", "/home/bert4rec/sshd_config"])
      #expect(image.contains(">/home/bert4rec/sshd_config"))
      #expect(worker["readinessProbe"]?["tcpSocket"]?["port"]?.string == String(port))
      let (_, launcher) = try container(job, "Launcher")
      #expect(launcher["image"] == worker["image"])
      #expect(try Self.words(launcher["command"]) == ["train-over-ssh.sh"])
      #expect(image.contains("install -m 755 cluster/train-over-ssh.sh /installed/usr/local/bin/"))
    }

    /// Ranks that the program accepts, and a command line that it and the script understand.
    @Test func theJobsCommandIsUnderstood() throws {
      let job = try job()
      let workers = try #require(job["mpiReplicaSpecs"]?["Worker"]?["replicas"]?.int)
      let slots = try #require(job["slotsPerWorker"]?.int)
      #expect(job["runLauncherAsWorker"]?.bool == true && (2...16).contains(slots * (workers + 1)))
      let arguments = try Self.words(container(job, "Launcher").container["args"])
      let train = try #require(arguments.firstIndex(of: "train"))
      let script = try Program.execute(Program.root + "/cluster/train-over-ssh.sh", ["--help"]).output
      let program = try Program.run(["train", "--help"]).output
      for (options, help) in [(arguments[..<train], script), (arguments[train...], program)] {
        for option in options where option.hasPrefix("--") { #expect(help.contains("  \(option) "), "\(option)") }
      }
      #expect(arguments[..<train].starts(with: ["--hostfile", "/etc/mpi/hostfile"]))
    }

    @Test func bothImagesHaveTheSamePackages() throws {
      let (image, definition) = (try Self.text("cluster/Containerfile"), try Self.text("cluster/apptainer/bert4rec-dist.def"))
      for text in [image, definition] {
        #expect(text.contains("libopenmpi-dev openmpi-bin libopenblas-dev libarchive-dev pkg-config make git"))
        #expect(text.contains("openmpi-bin libopenblas0-pthread libarchive13"))
        #expect(text.contains("swift:6.3-bookworm") && text.contains("debian:bookworm-slim"))
        #expect(text.contains("btl_vader_single_copy_mechanism=none"))
      }
      // What the definition copies is there, and is all that make needs.
      let copied = definition.matches(of: /(?m)^  (\S+) \/source\/(\S+)$/)
      #expect(copied.count >= 8)
      for match in copied {
        #expect(match.1 == match.2 && FileManager.default.fileExists(atPath: Program.root + "/" + match.1), "\(match.1)")
      }
    }
  }
}
