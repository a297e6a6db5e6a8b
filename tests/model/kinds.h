// All kinds of world: which sink and format, and who walks the tables.
#pragma once

#include "tests/model/nested_kind.h"
#include "tests/model/shadow_kind.h"
#include "tests/model/store_kinds.h"
#include "tests/model/told_kinds.h"
#include "tests/model/toy_lguest.h"
#include "tests/model/xen_kind.h"
