/// What users of RecBole, RecTools and other libraries call our keys.
enum ForeignKeys {
  private static let keys: [String: String] = [
    "n_heads": "num_attention_heads", "num_heads": "num_attention_heads", "n_head": "num_attention_heads",
    "nhead": "num_attention_heads", "heads": "num_attention_heads",
    "n_layers": "num_hidden_layers", "num_layers": "num_hidden_layers", "n_blocks": "num_hidden_layers",
    "num_blocks": "num_hidden_layers", "layers": "num_hidden_layers",
    "n_factors": "hidden_size", "embedding_size": "hidden_size", "hidden_dim": "hidden_size", "hidden_units": "hidden_size",
    "embedding_dim": "hidden_size", "d_model": "hidden_size", "inner_size": "intermediate_size",
    "ffn_dim": "intermediate_size", "dim_feedforward": "intermediate_size",
    "mask_ratio": "masked_lm_prob", "mlm_probability": "masked_lm_prob", "bert_mask_prob": "masked_lm_prob",
    "max_item_list_length": "max_seq_length", "max_len": "max_seq_length", "maxlen": "max_seq_length",
    "bert_max_len": "max_seq_length", "session_max_len": "max_seq_length", "max_length": "max_seq_length",
    "max_sequence_length": "max_seq_length", "seq_len": "max_seq_length",
    "dropout": "hidden_dropout_prob", "dropout_rate": "hidden_dropout_prob", "dropout_prob": "hidden_dropout_prob",
    "bert_dropout": "hidden_dropout_prob", "attn_dropout_prob": "attention_probs_dropout_prob",
    "attention_dropout": "attention_probs_dropout_prob",
    "epochs": "num_train_epochs", "num_epochs": "num_train_epochs", "n_epochs": "num_train_epochs",
    "max_epochs": "num_train_epochs", "steps": "num_train_steps", "max_steps": "num_train_steps",
    "lr": "learning_rate", "train_batch_size": "batch_size", "warmup_steps": "num_warmup_steps",
    "eval_step": "eval_every", "eval_steps": "eval_every", "valid_metric": "monitor", "hidden_activation": "hidden_act",
    "n_negatives": "negatives", "num_negatives": "negatives", "negs_per_pos": "negatives", "n_neg": "negatives",
    "loss_type": "loss", "gbce_t": "gbce_calibration", "sampled_softmax": "loss",
    "random_state": "seed", "random_seed": "seed", "num_threads": "threads", "n_threads": "threads", "dataset": "data",
    "data_path": "data", "save_steps": "save_checkpoints_steps",
  ]

  /// A sentence's part that names our key, or nil for a name that nobody uses. Case does not count.
  static func meaning(of name: String) -> String? {
    guard let key = keys[name.lowercased().split(separator: "-").joined(separator: "_")] else { return nil }
    let remark: String =
      switch name.lowercased() {
      case "dropout", "dropout_rate", "dropout_prob", "bert_dropout": " (and \"attention_probs_dropout_prob\")"
      case "session_max_len": " (one more: the last place is for [MASK])"
      default: ""
      }
    return "it is called \"\(key)\" here\(remark)"
  }
}
