#include "tests/model/kind_of.h"
#include "tests/model/store_engines.h"

template class nopte::pt::Engine<nopte::pt::StoreSink<nopte::model::Machine, nopte::pt::TwoLevel>>;

namespace nopte::model {
constinit const KindRow kTwoLevelStore = row_of<TwoLevelStore>();
}  // namespace nopte::model
