// The names of DLPack's C exchange API in Python (dlpack.h 1.3).
#pragma once

namespace devview::python {

/// Of types, never of their objects: a capsule of the name below with a table of process life.
inline constexpr const char* kExchangeAttribute = "__dlpack_c_exchange_api__";
inline constexpr const char* kExchangeCapsule = "dlpack_exchange_api";

}  // namespace devview::python
