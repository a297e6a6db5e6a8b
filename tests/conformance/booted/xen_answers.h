// What Xen answers to a guest that asks for odd things, and what mode xen's validator answers: the same
// requests are made in both modes, xenpv and xen, and the two columns of xen_answers.cc say where they
// differ.
#pragma once

#include "pvops/base/function_ref.h"
#include "pvops/base/types.h"

namespace nopte::conformance {

// report(name, failure) for each request; `failure` is null where the answer is the mode's. Precondition: a
// mode whose tables are Xen's. The kernel's own tables are as before afterwards.
void for_each_xen_answer(bool on_xen, FunctionRef<void(const char* name, const char* failure)> report);

}  // namespace nopte::conformance
