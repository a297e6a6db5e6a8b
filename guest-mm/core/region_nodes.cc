#include "guest-mm/core/region_nodes.h"

namespace nopte::guest {

namespace {
constinit HeapRegionNodes g_nodes;
}  // namespace

RegionNodeSource& heap_region_nodes() { return g_nodes; }

}  // namespace nopte::guest
