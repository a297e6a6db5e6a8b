#include "tests/model/kind_of.h"
#include "tests/model/store_engines.h"

template class nopte::pt::Engine<nopte::pt::StoreSink<nopte::model::Machine, nopte::pt::FiveLevel>>;

namespace nopte::model {
constinit const KindRow kFiveLevelStore = row_of<FiveLevelStore>();
}  // namespace nopte::model
