import SystemSupport

/// How much memory an encoder has, known before any of it is taken.
extension BidirectionalEncoder {
  /// What an encoder is for.
  package enum Purpose: Sendable {
    case training
    /// Forward and backward passes for a loss that is elsewhere.
    case encoding
    /// Forward passes alone.
    case scoring
  }

  /// An encoder whose memory is taken at once, or refused. `longestInstance`: see `init`.
  package static func withMemory(
    for purpose: Purpose, _ configuration: ModelConfiguration, backend: BackendChoice, longestInstance: Int? = nil,
    loss: LossConfiguration = LossConfiguration(), sampler: RowSampler? = nil
  ) throws(ProgramFailure) -> BidirectionalEncoder {
    let bytes = workspaceBytes(for: purpose, configuration, longestInstance: longestInstance, loss: loss)
    return BidirectionalEncoder(
      configuration, backend: backend.makeBackend(), workspace: try Workspace(byteCount: bytes), purpose: purpose,
      longestInstance: longestInstance, loss: loss, sampler: sampler)
  }

  /// What such an encoder asks its workspace for: the initialiser itself is run, with a workspace that only counts.
  package static func workspaceBytes(
    for purpose: Purpose, _ configuration: ModelConfiguration, longestInstance: Int? = nil,
    loss: LossConfiguration = LossConfiguration()
  ) -> Int {
    Workspace.count { workspace in
      _ = BidirectionalEncoder(
        configuration, backend: ReferenceBackend(), workspace: workspace, purpose: purpose,
        longestInstance: longestInstance, loss: loss)
    }
  }

  /// What its backend takes besides, as it goes along.
  package static func scratchBytes(
    _ configuration: ModelConfiguration, backend: BackendChoice, longestInstance: Int? = nil
  ) -> Int {
    backend.resolved == .native ? NativeBackend.scratchBytes(configuration, longestInstance: longestInstance) : 0
  }
}
