/// The recipes of this folder as the program carries them, for `train --recipe NAME`.
package enum Recipes {
  /// Names without ".yaml", and the files' bytes.
  package static let all: [(name: String, yaml: [UInt8])] = [
    ("beauty", PackageResources.beauty_yaml),
    ("beauty-64", PackageResources.beauty_64_yaml),
    ("ml-100k", PackageResources.ml_100k_yaml),
    ("ml-1m", PackageResources.ml_1m_yaml),
    ("ml-1m-256", PackageResources.ml_1m_256_yaml),
    ("ml-1m-64", PackageResources.ml_1m_64_yaml),
    ("ml-20m", PackageResources.ml_20m_yaml),
    ("ml-20m-64", PackageResources.ml_20m_64_yaml),
    ("steam", PackageResources.steam_yaml),
    ("steam-64", PackageResources.steam_64_yaml),
  ]
}
