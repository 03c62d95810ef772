#include "build_facts.h"

// Package.swift defines it. Here alone, so that another commit compiles one small file again.
const char *build_commit(void) { return BERT4REC_COMMIT; }

const char *build_compiler(void) { return __VERSION__; }
