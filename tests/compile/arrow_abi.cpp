// Compiled, never run: our copy of Arrow's structs against a released arrow/c/abi.h, which has the
// same names under the same guards and stands in a namespace here.
#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace released {
#include "arrow/c/abi.h"
}

#undef ARROW_C_DATA_INTERFACE
#undef ARROW_C_STREAM_INTERFACE
#undef ARROW_C_DEVICE_DATA_INTERFACE
#undef ARROW_C_DEVICE_STREAM_INTERFACE
// Macros of the two that differ are a redefinition, which -Werror refuses.
#include "devview/arrow_abi.hpp"

#define SAME_SIZE(T) \
    static_assert(sizeof(T) == sizeof(released::T) && alignof(T) == alignof(released::T), #T)
#define SAME_PLACE(T, member)                                             \
    static_assert(offsetof(T, member) == offsetof(released::T, member) && \
                      sizeof(T::member) == sizeof(released::T::member),   \
                  #T "::" #member)
#define SAME_TYPE(T, member)                                                          \
    SAME_PLACE(T, member);                                                            \
    static_assert(std::is_same_v<decltype(T::member), decltype(released::T::member)>, \
                  #T "::" #member)

SAME_SIZE(ArrowSchema);
SAME_TYPE(ArrowSchema, format);
SAME_TYPE(ArrowSchema, name);
SAME_TYPE(ArrowSchema, metadata);
SAME_TYPE(ArrowSchema, flags);
SAME_TYPE(ArrowSchema, n_children);
SAME_PLACE(ArrowSchema, children);
SAME_PLACE(ArrowSchema, dictionary);
SAME_PLACE(ArrowSchema, release);
SAME_TYPE(ArrowSchema, private_data);

SAME_SIZE(ArrowArray);
SAME_TYPE(ArrowArray, length);
SAME_TYPE(ArrowArray, null_count);
SAME_TYPE(ArrowArray, offset);
SAME_TYPE(ArrowArray, n_buffers);
SAME_TYPE(ArrowArray, n_children);
SAME_TYPE(ArrowArray, buffers);
SAME_PLACE(ArrowArray, children);
SAME_PLACE(ArrowArray, dictionary);
SAME_PLACE(ArrowArray, release);
SAME_TYPE(ArrowArray, private_data);

SAME_SIZE(ArrowArrayStream);
SAME_PLACE(ArrowArrayStream, get_schema);
SAME_PLACE(ArrowArrayStream, get_next);
SAME_PLACE(ArrowArrayStream, get_last_error);
SAME_PLACE(ArrowArrayStream, release);
SAME_TYPE(ArrowArrayStream, private_data);

SAME_SIZE(ArrowDeviceArray);
SAME_PLACE(ArrowDeviceArray, array);
SAME_TYPE(ArrowDeviceArray, device_id);
SAME_TYPE(ArrowDeviceArray, device_type);
SAME_TYPE(ArrowDeviceArray, sync_event);
SAME_TYPE(ArrowDeviceArray, reserved);

SAME_SIZE(ArrowDeviceArrayStream);
SAME_TYPE(ArrowDeviceArrayStream, device_type);
SAME_PLACE(ArrowDeviceArrayStream, get_schema);
SAME_PLACE(ArrowDeviceArrayStream, get_next);
SAME_PLACE(ArrowDeviceArrayStream, get_last_error);
SAME_PLACE(ArrowDeviceArrayStream, release);
SAME_TYPE(ArrowDeviceArrayStream, private_data);
