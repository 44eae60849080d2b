// devview::View and devview::ViewOf as arguments and results of functions bound with pybind11.
//
// Arguments: whatever dv.view takes, by the same protocols, shared and never copied; an argument of
// type Converted<ViewOf<const T, ...>> may be a copy where the object is not as wanted and pybind11
// allows a conversion (py::arg("x").noconvert() forbids it, and an overload that needs no copy is
// preferred). What does not fit is a TypeError with the argument's name, the wish and the fact
// (compiled as C++17: pybind11's list of signatures). Errors of a producer that are no refusal
// (other than BufferError, ValueError, TypeError) end the call.
//
// A view that a function keeps beyond its call may be released by any thread; memory of a device
// is then given back in that thread, without the GIL if the caller has released it. Functions take
// views with the GIL; py::call_guard<py::gil_scoped_release>() lets it go for the call itself.
//
// Results: View and ViewOf become devview.View, return_as<numpy> and its like an array of that
// package (devview/pybind11_results.hpp), which also has own(): memory of a smart pointer.
#pragma once

#include <pybind11/pybind11.h>

#include <atomic>
#include <exception>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

#include "devview/error.hpp"
#include "devview/pybind11_refusal.hpp"
#include "devview/pybind11_signature.hpp"
#include "devview/python_table.hpp"
#include "devview/view.hpp"
#include "devview/view_of.hpp"

namespace devview {

/// As an argument: a view that may be one of a dense copy, made where the object given is not as
/// `V` wants its items, device or order. The copy converts numbers as NumPy's "same_kind" does; the
/// number and extents of axes have to fit. From a device to the host it is an implicit transfer,
/// which dv.transfer_guard rules. Writes into a copy would be lost: V is read-only.
template <class V>
class Converted : public V {
    static_assert(!V::kWritable, "a copy would swallow what is written: use const T");

public:
    using V::V;
    explicit Converted(V&& view) noexcept : V(std::move(view)) {}
};

namespace python {

namespace detail {

/// devview's errors, thrown by functions of this extension module, as their Python classes.
inline void translate_error(std::exception_ptr thrown) {
    try {
        std::rethrow_exception(thrown);
    } catch (const Error&) {
        table()->set_error();
    }
}

/// devview's table. @throws pybind11::error_already_set  an ImportError.
DEVVIEW_LOCAL inline const Table& require_table() {
    static std::atomic<bool> translated{false};
    const Table* const found = table();
    if (found == nullptr) throw pybind11::error_already_set();
    if (!translated.load(std::memory_order_relaxed) && !translated.exchange(true)) {
        pybind11::register_local_exception_translator(translate_error);
    }
    return *found;
}

/// The Python error as this thread's last refusal; one that is no refusal is thrown on.
inline void take_refusal() {
    pybind11::error_already_set error;
    if (!error.matches(PyExc_BufferError) && !error.matches(PyExc_ValueError) &&
        !error.matches(PyExc_TypeError)) {
        throw error;
    }
    last_refusal().tell(pybind11::str(error.value()).cast<std::string>());
}

/// What dv.view(source) views; a released view with a refusal.
/// @throws pybind11::error_already_set.
inline View import_argument(pybind11::handle source) {
    View view = require_table().import_view(source.ptr());
    if (view.released()) take_refusal();
    return view;
}

/// Room for a View that is made in its place: a fresh one that is moved stalls the processor.
class Slot {
public:
    Slot() noexcept {}
    Slot(const Slot&) = delete;
    Slot& operator=(const Slot&) = delete;
    ~Slot() { clear(); }
    template <class Make>
    void fill(Make&& make) {
        clear();
        new (&view_) View(std::forward<Make>(make)());
        full_ = true;
    }
    View& get() noexcept { return view_; }

private:
    void clear() noexcept {
        if (full_) view_.~View();
        full_ = false;
    }
    union {
        View view_;
    };
    bool full_ = false;
};

/// A caster's hold on a device's memory, which is then not given back by what the function was
/// passed: a driver lock may be taken, which must not wait for a thread that waits for the GIL.
class Held {
public:
    Held() noexcept = default;
    Held(const Held&) = delete;
    Held& operator=(const Held&) = delete;
    ~Held() { drop(); }
    void hold(const View& view) {
        if (view.device().type != DeviceType::cpu) memory_ = view.allocation();
    }
    void drop() noexcept {
        if (memory_ == nullptr) return;
        PyThreadState* const state = PyEval_SaveThread();
        memory_.reset();
        PyEval_RestoreThread(state);
    }

private:
    std::shared_ptr<Allocation> memory_{};
};

/// A dense copy of `view`; a released view with a refusal.
inline View copied(const View& view, const Format& format, Device device, Order order) {
    View made = require_table().copy_view(&view, &format, device, order);
    if (made.released()) take_refusal();
    return made;
}

/// A devview.View of `view` (new reference). @throws pybind11::error_already_set.
inline pybind11::handle new_object(View&& view) {
    if (view.released()) return pybind11::none().release();
    PyObject* const object = require_table().new_view(&view);
    if (object == nullptr) throw pybind11::error_already_set();
    return object;
}

/// The device of a copy that `place` accepts.
inline Device target_device(Place place, Device now) noexcept {
    if (place_accepts(place, now)) return now;
    const bool kernels = place == Place::cuda || place == Place::device;
    return kernels ? Device{DeviceType::cuda, 0} : Device{};
}

}  // namespace detail

/// Imports devview now, for a module that would rather fail at its own import than at its first
/// call. @throws pybind11::error_already_set  an ImportError.
inline void require_devview() { detail::require_table(); }

}  // namespace python

}  // namespace devview

namespace PYBIND11_NAMESPACE {
namespace detail {

template <>
class type_caster<devview::View> {
public:
    static constexpr auto name = const_name("devview.View");

    type_caster() noexcept {}  // see view_of_caster
    bool load(handle source, bool) {
        if (!source) return false;
        held_.drop();
        view_.fill([&] { return devview::python::detail::import_argument(source); });
        held_.hold(view_.get());
        return !view_.get().released();
    }

    static handle cast(devview::View&& view, return_value_policy, handle) {
        return devview::python::detail::new_object(std::move(view));
    }
    static handle cast(const devview::View& view, return_value_policy, handle) {
        return devview::python::detail::new_object(devview::View(view));
    }
    static handle cast(const devview::View* view, return_value_policy policy, handle parent) {
        if (view == nullptr) return none().release();
        const std::unique_ptr<const devview::View> owned(
            policy == return_value_policy::take_ownership ? view : nullptr);
        return cast(*view, policy, parent);
    }

    operator devview::View*() { return &view_.get(); }
    operator devview::View&() { return view_.get(); }
    operator devview::View&&() && { return std::move(view_.get()); }
    template <typename T>
    using cast_op_type = movable_cast_op_type<T>;

private:
    devview::python::detail::Held held_;
    devview::python::detail::Slot view_;  // goes first
};

/// Arguments and results of type ViewOf.
template <class V>
class view_of_caster {
public:
    static constexpr auto name = devview::python::detail::Signature<V>::descr();

    // Here as in what derives from it: pybind11's tuple of casters would clear, byte by byte, what
    // has no constructor of its own, and the room of a view is filled soon.
    view_of_caster() noexcept {}

    bool load(handle source, bool) {
        return read(source) && (V::accepts(value_->view()) || refuse());
    }

    static handle cast(const V& view, return_value_policy, handle) {
        return devview::python::detail::new_object(devview::View(view.view()));
    }
    static handle cast(V&& view, return_value_policy, handle) {
        return devview::python::detail::new_object(std::move(view).view());
    }
    static handle cast(const V* view, return_value_policy policy, handle parent) {
        if (view == nullptr) return none().release();
        const std::unique_ptr<const V> owned(
            policy == return_value_policy::take_ownership ? view : nullptr);
        return cast(*view, policy, parent);
    }

    operator V*() { return &*value_; }
    operator V&() { return *value_; }
    operator V&&() && { return std::move(*value_); }
    template <typename T>
    using cast_op_type = movable_cast_op_type<T>;

protected:
    /// The object's view, not accepted yet; false with a refusal.
    bool read(handle source) {
        if (!source) return false;
        return take([&] { return devview::python::detail::import_argument(source); });
    }
    template <class Make>
    bool take(Make&& make) {
        held_.drop();
        value_.emplace(typename V::Unchecked{}, std::forward<Make>(make));
        held_.hold(value_->view());
        return !value_->released();
    }
    bool refuse() {
        devview::python::detail::last_refusal().tell(
            value_->view(), [](const devview::ViewFacts& given) { return V::refusal(given); });
        return false;
    }

    devview::python::detail::Held held_;
    std::optional<V> value_;  // goes first
};

template <class T, auto Rank, devview::Place Where, devview::Contiguity Lie>
class type_caster<devview::ViewOf<T, Rank, Where, Lie>>
    : public view_of_caster<devview::ViewOf<T, Rank, Where, Lie>> {
public:
    type_caster() noexcept {}
};

template <class V>
class type_caster<devview::Converted<V>> : public view_of_caster<V> {
    using Base = view_of_caster<V>;

public:
    type_caster() noexcept {}
    bool load(handle source, bool convert) {
        if (!this->read(source)) return false;
        if (!V::accepts(this->value_->view())) {
            const devview::Wish wish = V::wish();
            if (!convert || !devview::wish_axes_refusal(wish, this->value_->view()).empty()) {
                return this->refuse();
            }
            if (!copy(wish)) return false;
            if (!V::accepts(this->value_->view())) return this->refuse();
        }
        converted_ = devview::Converted<V>(std::move(*this->value_));
        return true;
    }
    operator devview::Converted<V>*() { return &converted_; }
    operator devview::Converted<V>&() { return converted_; }
    operator devview::Converted<V>&&() && { return std::move(converted_); }
    template <typename T>
    using cast_op_type = movable_cast_op_type<T>;

private:
    bool copy(const devview::Wish& wish) {
        devview::python::detail::Held held;  // of the source's memory
        const devview::View given = std::move(*this->value_).view();
        held.hold(given);
        return this->take([&] {
            return devview::python::detail::copied(
                given, wish.any_format ? given.format() : wish.format,
                devview::python::detail::target_device(wish.place, given.device()),
                wish.order == devview::f_order ? devview::Order::F : devview::Order::C);
        });
    }
    devview::Converted<V> converted_;
};

}  // namespace detail
}  // namespace PYBIND11_NAMESPACE

#include "devview/pybind11_results.hpp"
