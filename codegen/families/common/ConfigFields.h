// Configurations as structs: `eachField(use)` calls use(name, field) with each field of one.
#pragma once

#include "codegen/KernelFamily.h"

namespace kiln {

template <class Fields> Config toConfig(Fields fields) {
  Config config;
  fields.eachField([&](const char *name, auto &field) { config.set(name, field); });
  return config;
}

template <class Fields> Fields fromConfig(const Config &config) {
  Fields fields;
  fields.eachField([&]<class T>(const char *name, T &field) { field = static_cast<T>(config.getInt(name)); });
  return fields;
}

} // namespace kiln
