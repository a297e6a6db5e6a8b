// Accesses of a case, what they may cost and where they are refused.
#include "tests/conformance/scene.h"

namespace nopte::conformance {

Status Scene::checked(Gva va, Status status) {
  if (status == Status::kOk) return status;
  used_ |= CallSet::violations();
  expect(memory_->refused_at() == va, "a refusal names another address than the access");
  return status;
}

Result<u64> Scene::loaded(Gva va) {
  const auto value = memory_->load(va);
  static_cast<void>(checked(va, value ? Status::kOk : value.error()));
  return value;
}

Result<u64> Scene::load_at(Gva va) {
  touched(va);
  return loaded(va);
}

Status Scene::store_at(Gva va, u64 value) {
  touched(va);
  return checked(va, memory_->store(va, value));
}

Status Scene::execute_at(Gva va) {
  touched(va);
  return checked(va, memory_->execute(va));
}

Result<u64> Scene::warm_load_at(Gva va) {
  budget_.warm();
  return loaded(va);
}

Status Scene::warm_store_at(Gva va, u64 value) {
  budget_.warm();
  return checked(va, memory_->store(va, value));
}

}  // namespace nopte::conformance
