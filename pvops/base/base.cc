// The base headers compile on their own.
#include "pvops/abi/boot_block.h"
#include "pvops/abi/hypercalls.h"
#include "pvops/mm_ops.h"
#include "pvops/platform_ops.h"
