import SystemSupport

/// How much memory an encoder has, known before any of it is taken.
extension BidirectionalEncoder {
  /// What an encoder is for.
  package enum Purpose: Sendable {
    case training
    /// Forward passes to logits alone.
    case scoring
  }

  /// An encoder whose memory is taken at once, or refused.
  package static func withMemory(
    for purpose: Purpose, _ configuration: ModelConfiguration, backend: BackendChoice
  ) throws(Failure) -> BidirectionalEncoder {
    let workspace = try Workspace(byteCount: workspaceBytes(for: purpose, configuration))
    return BidirectionalEncoder(
      configuration, backend: backend.makeBackend(), workspace: workspace, computesLoss: purpose == .training)
  }

  /// What such an encoder asks its workspace for: the very initialiser is run, with a workspace that only counts.
  package static func workspaceBytes(for purpose: Purpose, _ configuration: ModelConfiguration) -> Int {
    Workspace.count { workspace in
      _ = BidirectionalEncoder(
        configuration, backend: ReferenceBackend(), workspace: workspace, computesLoss: purpose == .training)
    }
  }

  /// What its backend takes besides, as it goes along.
  package static func scratchBytes(_ configuration: ModelConfiguration, backend: BackendChoice) -> Int {
    backend.resolved == .native ? NativeBackend.scratchBytes(configuration) : 0
  }
}
