// What the entry, the platform and the tables of a kernel at ring 3 on Xen share. Source: Xen's public
// headers.
#pragma once

#include "pvops/interfaces/xen_pv.h"

extern "C" {
// Xen's page, where xenpv_entry.S has room for it.
extern volatile nopte::abi::xen_pv::SharedInfo xen_shared_page;
// Handles the events that wait: the interrupts of this processor.
void take_xen_events();
// The same for Xen's callback, which interrupted code of this segment. An assertion holds the rule of
// xenpv_platform.cc.
void take_xen_callback(nopte::u32 code_segment);
// The kernel's (guest-mm/arch/x86_64_pv).
void dispatch_xen_event(nopte::u8 vector);
}

namespace nopte::pt {

// Shows Xen's page in the tables that are loaded.
void map_shared_page();
// The kernel runs at ring 3 on Xen.
inline constinit bool g_on_xen = false;

}  // namespace nopte::pt
