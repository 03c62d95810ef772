// One import for users of the library.
@_exported import BERT4RecModel
@_exported import Checkpoints
@_exported import Communication
@_exported import Diagnosis
@_exported import Evaluation
@_exported import GradientSum
@_exported import InteractionData
@_exported import Masking
@_exported import Reporting
@_exported import StallDetection
@_exported import SystemSupport
@_exported import Training
@_exported import Tuning
