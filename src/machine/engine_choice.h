// Which engine executes a machine. The guest cannot tell; replicas may differ in it.
// Owner: none (values).
#pragma once

#include <cstdint>

#include "jit/translator.h"

namespace lockstep::machine {

enum class EngineKind : uint8_t { kInterpreter, kTranslator };

struct EngineChoice {
  EngineKind kind = EngineKind::kTranslator;
  jit::Options translator;
};

// What an engine did since power-on.
struct EngineReport {
  EngineKind kind = EngineKind::kTranslator;
  riscv::EngineStatistics statistics;
};

}  // namespace lockstep::machine
