#include "tests/model/store_engines.h"

template class nopte::pt::Engine<nopte::pt::StoreSink<nopte::model::Machine, nopte::pt::FourLevel>>;
