#include "tests/model/kind_of.h"
#include "tests/model/store_engines.h"

template class nopte::pt::Engine<nopte::pt::StoreSink<nopte::model::Machine, nopte::pt::Pae>>;

namespace nopte::model {
constinit const KindRow kPaeStore = row_of<PaeStore>();
}  // namespace nopte::model
