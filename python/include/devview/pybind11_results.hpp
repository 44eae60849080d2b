// Results of functions bound with pybind11: arrays of the caller's own package, and memory that a
// smart pointer or a Python object owns. Included by devview/pybind11.hpp.
#pragma once

#include <pybind11/pybind11.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "devview/pybind11.hpp"

namespace devview {

/// Packages that a result can be handed to, for return_as. Each shares the memory: it goes when the
/// last array of it does.
struct numpy {
    static constexpr bool kHostOnly = true;
    static constexpr const char* kModule = "numpy";
    static constexpr const char* kFunction = "asarray";
    static constexpr auto kName = pybind11::detail::const_name("numpy.ndarray");
};
struct cupy {
    static constexpr bool kHostOnly = false;
    static constexpr const char* kModule = "cupy";
    static constexpr const char* kFunction = "from_dlpack";
    static constexpr auto kName = pybind11::detail::const_name("cupy.ndarray");
};
struct torch {
    static constexpr bool kHostOnly = false;
    static constexpr const char* kModule = "torch";
    static constexpr const char* kFunction = "from_dlpack";
    static constexpr auto kName = pybind11::detail::const_name("torch.Tensor");
};
struct jax {
    static constexpr bool kHostOnly = false;
    static constexpr const char* kModule = "jax.dlpack";
    static constexpr const char* kFunction = "from_dlpack";
    static constexpr auto kName = pybind11::detail::const_name("jax.Array");
};

/// As the result type of a bound function: the view becomes an array of `Package`.
///
/// NumPy takes memory of the host by the buffer protocol; of a device it is a BufferError, never a
/// silent copy. The others take it by `from_dlpack` and say what they cannot hold. A package that
/// is not installed is its ImportError. A released view becomes None.
template <class Package>
class return_as {
public:
    return_as(View view) noexcept : view_(std::move(view)) {}  // NOLINT: `return view;`
    template <class T, auto Rank, Place Where, Contiguity Lie>
    return_as(ViewOf<T, Rank, Where, Lie> view) noexcept  // NOLINT
        : view_(std::move(view).view()) {}

    const View& view() const& noexcept { return view_; }
    View view() && noexcept { return std::move(view_); }

private:
    View view_;
};

namespace python::detail {

template <class Owner>
void let_go(Owner& owner, const Stream&) {
    const Owner dropped = std::move(owner);
}

/// A deleter that takes (pointer, Stream) gets the stream that the memory may be freed on.
template <class T, class Deleter>
void let_go(std::unique_ptr<T, Deleter>& owner, const Stream& stream) {
    using Pointer = typename std::unique_ptr<T, Deleter>::pointer;
    if constexpr (std::is_invocable_v<Deleter&, Pointer, Stream>) {
        Deleter deleter = std::move(owner.get_deleter());
        deleter(owner.release(), stream);
    } else {
        owner.reset();
    }
}

template <class Owner>
void release_owner(void* context, Stream stream) noexcept {
    const std::unique_ptr<Owner> owner(static_cast<Owner*>(context));
    try {
        let_go(*owner, stream);
    } catch (const std::exception& error) {
        report_release_error(error.what());
    } catch (...) {
        report_release_error("release: unknown exception");
    }
}

/// An allocation made by `make(place)`, which returns 0 or -1 with a Python error.
template <class Make>
std::shared_ptr<Allocation> made_allocation(Make&& make) {
    using Made = std::shared_ptr<Allocation>;
    alignas(Made) unsigned char room[sizeof(Made)];
    if (make(static_cast<void*>(room)) != 0) throw pybind11::error_already_set();
    Made* const there = std::launder(reinterpret_cast<Made*>(room));
    const Made made = std::move(*there);
    there->~Made();
    return made;
}

template <class Owner>
std::shared_ptr<Allocation> adopt_owner(Owner&& owner, void* data, std::size_t nbytes,
                                        Device device, Stream&& stream) {
    const Table& table = require_table();
    if constexpr (std::is_base_of_v<pybind11::handle, Owner>) {
        return made_allocation([&](void* place) {
            return table.adopt_owner(data, nbytes, device, &stream, owner.ptr(), place);
        });
    } else {
        auto held = std::make_unique<Owner>(std::move(owner));
        Allocation::Block block;
        block.data = data;
        block.nbytes = nbytes;
        block.device = device;
        block.stream = std::move(stream);
        block.release = release_owner<Owner>;
        block.context = held.get();
        auto allocation = made_allocation([&](void* place) { return table.adopt(&block, place); });
        held.release();
        return allocation;
    }
}

}  // namespace python::detail

/// A C-contiguous view of `data`, items of `shape` on `device`, that `owner` keeps alive: a smart
/// pointer, a container, anything that is destroyed to let the memory go; or a Python object
/// (pybind11::capsule), which is let go with the GIL.
///
/// It is let go exactly once, when the last view or export goes, in the thread that drops it: of
/// device memory without the GIL, of host memory perhaps with it. A std::unique_ptr whose deleter
/// takes (pointer, Stream) gets the stream that waits for every use so far (none on the host).
/// `const T` makes a read-only view. Needs the GIL.
/// @throws LayoutError  a bad shape; std::bad_alloc; pybind11::error_already_set: `owner` is then
/// destroyed as any argument.
template <class Owner, class T>
View own(Owner owner, T* data, const std::vector<std::int64_t>& shape, Device device = {},
         Stream stream = {}) {
    using Item = std::remove_cv_t<T>;
    Format format = format_of<Item>();
    Layout layout =
        Layout::contiguous(static_cast<int>(shape.size()), shape.data(), format.itemsize());
    void* const memory = const_cast<Item*>(data);
    const auto nbytes = static_cast<std::size_t>(layout.nbytes(format.itemsize()));
    auto allocation =
        python::detail::adopt_owner(std::move(owner), memory, nbytes, device, std::move(stream));
    return view_of(memory, std::move(format), std::move(layout), device, std::move(allocation),
                   std::is_const_v<T>);
}

/// The same for what points to its items itself.
template <class T, class Deleter>
View own(std::unique_ptr<T[], Deleter> items, const std::vector<std::int64_t>& shape,
         Device device = {}, Stream stream = {}) {
    T* const data = items.get();
    return own(std::move(items), data, shape, device, std::move(stream));
}
template <class T>
View own(std::shared_ptr<T> items, const std::vector<std::int64_t>& shape, Device device = {},
         Stream stream = {}) {
    auto* const data = items.get();
    return own(std::move(items), data, shape, device, std::move(stream));
}
/// One axis, unless `shape` says otherwise. @throws LayoutError  more items than the vector has.
template <class T, class A>
View own(std::vector<T, A> items, std::vector<std::int64_t> shape = {}) {
    T* const data = items.data();
    const auto size = static_cast<std::int64_t>(items.size());
    if (shape.empty()) shape.push_back(size);
    const Layout layout = Layout::contiguous(static_cast<int>(shape.size()), shape.data(), 1);
    if (layout.size() > size) {
        throw LayoutError("own: shape of " + std::to_string(layout.size()) +
                          " items, the vector has " + std::to_string(size));
    }
    return own(std::move(items), data, shape);
}

}  // namespace devview

namespace PYBIND11_NAMESPACE {
namespace detail {

template <class Package>
class type_caster<devview::return_as<Package>> {
    using Result = devview::return_as<Package>;

public:
    static constexpr auto name = Package::kName;

    static handle cast(Result&& result, return_value_policy, handle) {
        devview::View view = std::move(result).view();
        if (view.released()) return none().release();
        if (Package::kHostOnly && !devview::host_accessible(view.device())) {
            throw buffer_error(std::string("return_as<") + Package::kModule +
                               ">: the result is on " + devview::to_string(view.device()) +
                               ", arrays of this package hold host memory");
        }
        const auto object = reinterpret_steal<pybind11::object>(
            devview::python::detail::new_object(std::move(view)));
        return module_::import(Package::kModule).attr(Package::kFunction)(object).release();
    }
    static handle cast(const Result& result, return_value_policy policy, handle parent) {
        return cast(Result(result), policy, parent);
    }
    template <typename T>
    using cast_op_type = T;  // a result only
};

}  // namespace detail
}  // namespace PYBIND11_NAMESPACE
