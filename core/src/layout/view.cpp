// Views: life, and sub-views by arithmetic on the layout.
#include "devview/view.hpp"

#include <algorithm>
#include <cstring>
#include <stdexcept>
#include <string>

#include "devview/error.hpp"
#include "devview/packed.hpp"

namespace devview {

namespace {

__extension__ using Wide = __int128;

std::string number(std::int64_t value) { return std::to_string(value); }

bool is_byte(const Format& format) noexcept {
    return format.code() == 'B' || format.code() == 'b' || format.code() == 'c';
}

/// PySlice_AdjustIndices for values that may be missing.
std::int64_t adjust_slice(std::int64_t extent, const std::optional<std::int64_t>& given_start,
                          const std::optional<std::int64_t>& given_stop, std::int64_t step,
                          std::int64_t& start) {
    const std::int64_t lowest = step < 0 ? -1 : 0;
    const std::int64_t highest = step < 0 ? extent - 1 : extent;
    const auto clamp = [&](std::int64_t value) {
        if (value < 0) {
            value = value < -extent ? lowest : value + extent;
            return value < lowest ? lowest : value;
        }
        return value > highest ? highest : value;
    };
    start = given_start ? clamp(*given_start) : (step < 0 ? highest : lowest);
    const std::int64_t stop = given_stop ? clamp(*given_stop) : (step < 0 ? lowest : highest);
    // Unsigned, so that a step of INT64_MIN has a magnitude.
    const auto stride =
        step < 0 ? 0 - static_cast<std::uint64_t>(step) : static_cast<std::uint64_t>(step);
    const std::int64_t span = step < 0 ? start - stop : stop - start;
    if (span <= 0) return 0;
    return static_cast<std::int64_t>((static_cast<std::uint64_t>(span) - 1) / stride) + 1;
}

/// Which names there are instead; a few of many.
std::string no_field(const FormatNode& record, std::string_view name) {
    constexpr std::int32_t kFew = 16;
    std::string text = "field: no field '" + std::string(name) + "', the format '" +
                       std::string(record.text).substr(0, 200) + "' ";
    if (record.kind != Kind::record) return text + "is no record";
    std::string names;
    for (std::int32_t i = 0; i < std::min(record.field_count, kFew); ++i) {
        if (*record.fields[i].name == '\0') continue;
        names += std::string(names.empty() ? "has '" : ", '") + record.fields[i].name + "'";
    }
    if (names.empty()) names = "has no names";
    return text + names + (record.field_count > kFew ? ", ..." : "");
}

}  // namespace

View::View(const View& other)
    : View(other.allocation_, other.data_, other.format_, other.layout_, other.readonly_,
           other.stream_) {}

View& View::operator=(const View& other) {
    if (this != &other) *this = View(other);
    return *this;
}

View& View::operator=(View&& other) noexcept {
    if (this == &other) return *this;
    View old(std::move(*this));  // let go last: a release callback may look at this view
    allocation_ = std::move(other.allocation_);
    data_ = std::exchange(other.data_, nullptr);
    format_ = std::move(other.format_);
    layout_ = std::move(other.layout_);
    stream_ = std::move(other.stream_);
    readonly_ = other.readonly_;
    bound_ = other.bound_;
    return *this;
}

void View::release() noexcept {
    if (!allocation_) return;
    const std::shared_ptr<Allocation> last = std::move(allocation_);
    allocation_.reset();
    data_ = nullptr;
    stream_ = {};
    uncount(last, std::exchange(bound_, false));
}

void View::require_live(const char* function) const {
    if (released()) throw ReleasedError(std::string(function) + ": the view was released");
}

View View::window(Layout layout, std::int64_t shift) const {
    if (!format_.is_packed()) {
        return View(allocation_, static_cast<char*>(data_) + shift, format_, std::move(layout),
                    readonly_, stream_);
    }
    require_packable("window", format_, layout);
    const std::int64_t bits = format_.node()->bits;
    if (shift % 8 * bits % 8 != 0) {
        throw LayoutError("window: item " + number(shift) + " of packed ones begins at bit " +
                          number(shift % 8 * bits % 8) + " of byte " +
                          number(format_.nbytes(shift) - 1) + ", a view begins with a byte");
    }
    return View(allocation_, static_cast<char*>(data_) + format_.nbytes(shift), format_,
                Layout::contiguous(layout.ndim(), layout.shape(), 1), readonly_, stream_);
}

View View::slice(int axis, std::optional<std::int64_t> start, std::optional<std::int64_t> stop,
                 std::int64_t step) const {
    require_live("slice");
    if (axis < 0 || axis >= ndim()) {
        throw LayoutError("slice: axis " + number(axis) + ", ndim " + number(ndim()));
    }
    if (step == 0) throw LayoutError("slice: axis " + number(axis) + ": step 0, must not be zero");
    std::int64_t first = 0;
    const std::int64_t extent = adjust_slice(shape()[axis], start, stop, step, first);
    std::int64_t shift = 0;
    Layout sliced = layout_.slice(axis, first, step, extent, shift);
    return window(std::move(sliced), shift);
}

View View::index(int axis, std::int64_t index) const {
    require_live("index");
    if (axis < 0 || axis >= ndim()) {
        throw LayoutError("index: axis " + number(axis) + ", ndim " + number(ndim()));
    }
    const std::int64_t extent = shape()[axis];
    const std::int64_t at = index < 0 ? index + extent : index;
    if (at < 0 || at >= extent) {
        throw std::out_of_range("index: axis " + number(axis) + ": index " + number(index) +
                                ", extent " + number(extent));
    }
    const std::int64_t* const suboffset = suboffsets();
    if (suboffset == nullptr || suboffset[axis] < 0) {
        std::int64_t shift = 0;
        Layout rest = layout_.index(axis, at, shift);
        return window(std::move(rest), shift);
    }
    // The axis holds pointers (PEP 3118): only the host's first axis can be followed to one place.
    if (axis != 0 || !host_accessible(device())) {
        throw LayoutError("index: axis " + number(axis) +
                          " has a suboffset, only axis 0 of host memory can be followed");
    }
    char* pointer = nullptr;
    std::memcpy(&pointer, static_cast<const char*>(data_) + at * strides()[0], sizeof pointer);
    const Layout rest =
        Layout::strided(ndim() - 1, shape() + 1, strides() + 1, suboffset + 1, itemsize());
    return View(allocation_, pointer + suboffset[0], format_, rest, readonly_, stream_);
}

View View::transpose() const {
    int axes[kMaxNdim];
    for (int i = 0; i < ndim(); ++i)
        axes[i] = ndim() - 1 - i;
    return transpose(axes);
}

View View::transpose(const int* axes) const {
    require_live("transpose");
    return window(layout_.transpose(axes), 0);
}

View View::reshape(int ndim, const std::int64_t* shape) const {
    require_live("reshape");
    return window(layout_.reshape(ndim, shape, itemsize()), 0);
}

View View::broadcast_to(int ndim, const std::int64_t* shape) const {
    require_live("broadcast_to");
    return window(layout_.broadcast_to(ndim, shape, itemsize()), 0);
}

View View::insert_axis(int axis) const {
    require_live("insert_axis");
    return window(layout_.insert_axis(axis), 0);
}

View View::remove_axis(int axis) const {
    require_live("remove_axis");
    return window(layout_.remove_axis(axis), 0);
}

void View::require_same_objects(const Format& format) const {
    if ((format.has_objects() || format_.has_objects()) && format != format_) {
        throw FormatError("cast: '" + format_.str() + "' to '" + format.str() +
                              "': Python objects cannot be read as other items",
                          0);
    }
}

// memoryview's rule (memory_cast), its refusal of empty views of several axes included.
View View::flat_cast(const Format& format) const {
    const std::int64_t extent = nbytes() / format.itemsize();
    if (extent * format.itemsize() != nbytes()) {
        throw LayoutError("cast: " + number(nbytes()) + " bytes are no multiple of itemsize " +
                          number(format.itemsize()));
    }
    if (extent == 0 && ndim() != 1) {
        throw LayoutError("cast: shape " + Layout::to_string(ndim(), shape()) +
                          " is empty, name the new shape");
    }
    return cast(format, 1, &extent);
}

// Of packed items only all bytes together are other items.
View View::packed_cast(const Format& format) const {
    if (format_.is_packed() && format.is_packed() && format_.node()->bits == format.node()->bits) {
        return View(allocation_, data_, format, layout_, readonly_, stream_);
    }
    if (!contiguous() || !(is_byte(format_) || is_byte(format))) {
        throw LayoutError("cast: '" + format_.str() + "' to '" + format.str() +
                          "': packed items are cast from and to dense bytes, or name a shape");
    }
    if (!format.is_packed()) return flat_cast(format);
    const std::int64_t bits = format.node()->bits;
    const std::int64_t extent = nbytes() / bits * 8 + nbytes() % bits * 8 / bits;
    if (nbytes() % bits * 8 % bits != 0) {
        throw LayoutError("cast: " + number(nbytes()) + " bytes are no multiple of " +
                          number(bits) + " bits, name the new shape");
    }
    return cast(format, 1, &extent);
}

View View::cast(const Format& format) const {
    require_live("cast");
    require_same_objects(format);
    if (format_.is_packed() || format.is_packed()) return packed_cast(format);
    const std::int64_t from = itemsize();
    const std::int64_t to = format.itemsize();
    if (to == 0) throw LayoutError("cast: format '" + format.str() + "' has itemsize 0");
    if ((is_byte(format_) || is_byte(format)) && contiguous()) return flat_cast(format);
    if (from == to) return View(allocation_, data_, format, layout_, readonly_, stream_);
    const int last = ndim() - 1;
    if (last < 0 || suboffsets() != nullptr || (shape()[last] > 1 && strides()[last] != from)) {
        throw LayoutError("cast: itemsize " + number(from) + " to " + number(to) +
                          " needs a dense last axis");
    }
    const std::int64_t bytes = shape()[last] * from;
    if (bytes % to != 0) {
        throw LayoutError("cast: last axis of " + number(bytes) +
                          " bytes is no multiple of itemsize " + number(to));
    }
    std::int64_t new_shape[kMaxNdim];
    std::int64_t new_strides[kMaxNdim];
    std::copy_n(shape(), ndim(), new_shape);
    std::copy_n(strides(), ndim(), new_strides);
    new_shape[last] = bytes / to;
    new_strides[last] = to;
    return View(allocation_, data_, format,
                Layout::strided(ndim(), new_shape, new_strides, nullptr, to), readonly_, stream_);
}

View View::cast(const Format& format, int ndim, const std::int64_t* shape) const {
    require_live("cast");
    require_same_objects(format);
    if (!contiguous()) throw LayoutError("cast: a new shape needs a C-contiguous view");
    if (format.itemsize() == 0) {
        throw LayoutError("cast: format '" + format.str() + "' has itemsize 0");
    }
    Layout layout = Layout::contiguous(ndim, shape, format.itemsize());
    const std::int64_t wanted = format.nbytes(layout.size());
    if (wanted != nbytes()) {
        throw LayoutError("cast: shape " + Layout::to_string(ndim, shape) + " has " +
                          number(wanted) + " bytes, the view " + number(nbytes()));
    }
    return View(allocation_, data_, format, std::move(layout), readonly_, stream_);
}

View View::field(std::string_view name) const {
    require_live("field");
    const FormatNode& record = *format_.node();
    for (std::int32_t i = 0; record.kind == Kind::record && i < record.field_count; ++i) {
        const FormatField& field = record.fields[i];
        if (name != field.name) continue;
        if (field.bit_offset != 0) {
            throw FormatError("field: '" + std::string(name) +
                                  "' begins inside a byte: it is read with its record only",
                              0);
        }
        if (suboffsets() != nullptr && field.offset != 0) {
            throw LayoutError("field: a view with suboffsets has no view of a later field");
        }
        // A sub-array field becomes further axes, as NumPy shows it.
        const FormatNode* item = field.format;
        std::int64_t shape_all[kMaxNdim];
        std::int64_t strides_all[kMaxNdim];
        std::int64_t suboffsets_all[kMaxNdim];
        int axes = ndim();
        std::copy_n(shape(), axes, shape_all);
        std::copy_n(strides(), axes, strides_all);
        std::fill_n(suboffsets_all, kMaxNdim, -1);
        if (suboffsets() != nullptr) std::copy_n(suboffsets(), axes, suboffsets_all);
        while (item->kind == Kind::array && axes + item->ndim <= kMaxNdim) {
            std::int64_t stride = item->itemsize;
            for (int k = 0; k < item->ndim; ++k) {
                stride = item->shape[k] == 0 ? 0 : stride / item->shape[k];
                shape_all[axes + k] = item->shape[k];
                strides_all[axes + k] = stride;
            }
            axes += item->ndim;
            item = item->element;
        }
        return View(allocation_, static_cast<char*>(data_) + field.offset, Format::of_node(item),
                    Layout::strided(axes, shape_all, strides_all, suboffsets_all, item->itemsize),
                    readonly_, stream_);
    }
    throw FormatError(no_field(record, name), 0);
}

View View::as_readonly() const {
    require_live("as_readonly");
    return View(allocation_, data_, format_, layout_, true, stream_);
}

View View::with_stream(Stream stream) const {
    require_live("with_stream");
    return View(allocation_, data_, format_, layout_, readonly_, std::move(stream));
}

View view_of(void* data, Format format, Layout layout, Device device,
             std::shared_ptr<Allocation> allocation, bool readonly) {
    if (!allocation) throw LayoutError("view_of: allocation is null");
    if (device != allocation->device()) {
        throw LayoutError("view_of: device " + to_string(device) + ", the allocation is on " +
                          to_string(allocation->device()));
    }
    if (format.itemsize() == 0) {
        throw FormatError("view_of: format '" + format.str() + "' has itemsize 0", 0);
    }
    if (format.has_objects() && !host_accessible(device)) {
        throw FormatError("view_of: format '" + format.str() + "' holds objects, off the host", 0);
    }
    require_packable("view_of", format, layout);
    const ByteBounds bounds = byte_bounds(format, layout);
    if (bounds.high > bounds.low && layout.suboffsets() == nullptr) {
        const auto base = reinterpret_cast<std::uintptr_t>(allocation->data());
        const auto at = reinterpret_cast<std::uintptr_t>(data);
        const Wide low = static_cast<Wide>(at) - base + bounds.low;
        const Wide high = static_cast<Wide>(at) - base + bounds.high;
        if (low < 0 || high > static_cast<Wide>(allocation->nbytes())) {
            throw LayoutError("view_of: bytes [" + number(static_cast<std::int64_t>(low)) + ", " +
                              number(static_cast<std::int64_t>(high)) +
                              ") of the allocation, which has " +
                              number(static_cast<std::int64_t>(allocation->nbytes())));
        }
    }
    return View(std::move(allocation), data, std::move(format), std::move(layout), readonly);
}

}  // namespace devview
