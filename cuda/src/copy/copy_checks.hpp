// What every movement between two views is checked for, and the views that it makes on its way.
#pragma once

#include "devview/number.hpp"
#include "devview/stream.hpp"
#include "devview/view.hpp"

namespace devview::cuda {

inline bool on_device(const View& view) noexcept { return view.device().type == DeviceType::cuda; }

/// Numbers that the kernels convert and compare.
inline bool kernel_knows(const NumberType& type) noexcept {
    return type.number != Number::none && type.number != Number::long_double;
}

/// Both are live and of one shape, on devices of ours, and `dst` is writable. `function` begins the
/// messages. @throws ReleasedError, BufferError, LayoutError, NameError.
void check_sides(const char* function, const View& dst, const View& src);

/// A stream of neither device would order nothing. @throws DeviceError.
void check_stream(const View& dst, const View& src, const Stream& stream);

/// An axis on which the destination stands still keeps its last item; on a device all of them would
/// be written at once. Returns the first such axis, -1 if there is none.
int repeated_axis(const View& dst) noexcept;

/// By the bytes between the first and the last item; where pointers are followed, nobody knows.
bool may_overlap(const View& a, const View& b) noexcept;

/// A new view of the shape of `like` on any device, not initialised. Device memory is ordered on
/// `stream` if it belongs there, else on the stream that work on `like` goes to.
View dense_on(Device device, const View& like, const Format& format, Order order,
              const Stream& stream);

}  // namespace devview::cuda
