// The engines over plain stores, each compiled once: for tests of these alone.
#pragma once

#include "native-fallback/engine/engine.h"
#include "tests/model/store_kinds.h"

namespace nopte::pt {
extern template class Engine<StoreSink<model::Machine, FourLevel>>;  // store_engines.cc
extern template class Engine<StoreSink<model::Machine, FiveLevel>>;  // the others: kinds/
extern template class Engine<StoreSink<model::Machine, Pae>>;
extern template class Engine<StoreSink<model::Machine, TwoLevel>>;
}  // namespace nopte::pt
