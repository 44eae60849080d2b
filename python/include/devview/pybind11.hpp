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
/// number and extents of axes have to fit. Writes into a copy would be lost: V is read-only.
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
    last_refusal() = pybind11::str(error.value()).cast<std::string>();
}

/// Raw memory for a View that the module makes, and what is imported into it. Kept by a caster, and
/// so dropped with the GIL held.
class Imported {
public:
    Imported() noexcept {}
    Imported(const Imported&) = delete;
    Imported& operator=(const Imported&) = delete;
    ~Imported() { clear(); }

    /// False with a refusal. @throws pybind11::error_already_set.
    bool load(pybind11::handle source) {
        clear();
        if (!source) return false;
        if (require_table().import_view(source.ptr(), &view_) != 0) {
            take_refusal();
            return false;
        }
        full_ = true;
        if (view_.device().type != DeviceType::cpu) held_ = view_.allocation();
        return true;
    }
    View& view() noexcept { return view_; }

    /// The view becomes a dense copy. False with a refusal.
    bool copy(const Format& format, Device device, Order order) {
        alignas(View) unsigned char room[sizeof(View)];
        if (require_table().copy_view(&view_, &format, device, order, room) != 0) {
            take_refusal();
            return false;
        }
        View* const made = std::launder(reinterpret_cast<View*>(room));
        clear();
        new (&view_) View(std::move(*made));
        made->~View();
        full_ = true;
        if (view_.device().type != DeviceType::cpu) held_ = view_.allocation();
        return true;
    }

private:
    /// Of a device's memory this is the last holder in the call: a driver lock may be taken, which
    /// must not wait for another thread that waits for the GIL.
    void clear() noexcept {
        if (held_) {
            PyThreadState* const state = PyEval_SaveThread();
            if (full_) view_.release();
            held_.reset();
            PyEval_RestoreThread(state);
        }
        if (full_) view_.~View();
        full_ = false;
    }

    union {
        View view_;
    };
    bool full_ = false;
    std::shared_ptr<Allocation> held_{};
};

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
    return place == Place::cuda ? Device{DeviceType::cuda, 0} : Device{};
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

    bool load(handle source, bool) { return imported_.load(source); }

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

    operator devview::View*() { return &imported_.view(); }
    operator devview::View&() { return imported_.view(); }
    operator devview::View&&() && { return std::move(imported_.view()); }
    template <typename T>
    using cast_op_type = movable_cast_op_type<T>;

private:
    devview::python::detail::Imported imported_;
};

/// Arguments and results of type ViewOf.
template <class V>
class view_of_caster {
public:
    static constexpr auto name = devview::python::detail::Signature<V>::descr();

    bool load(handle source, bool) {
        if (!imported_.load(source)) return false;
        return accept();
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
    /// The imported view as V; false with a refusal.
    bool accept() {
        devview::View& view = imported_.view();
        if (!V::accepts(view)) {
            devview::python::detail::last_refusal() = V::refusal(view);
            return false;
        }
        value_.emplace(typename V::Accepted{}, std::move(view));
        return true;
    }

    devview::python::detail::Imported imported_;
    std::optional<V> value_;  // goes first: the other lets the GIL go for a driver's lock
};

template <class T, auto Rank, devview::Place Where, devview::Contiguity Lie>
class type_caster<devview::ViewOf<T, Rank, Where, Lie>>
    : public view_of_caster<devview::ViewOf<T, Rank, Where, Lie>> {};

template <class V>
class type_caster<devview::Converted<V>> : public view_of_caster<V> {
    using Base = view_of_caster<V>;

public:
    bool load(handle source, bool convert) {
        if (!this->imported_.load(source)) return false;
        if (!convert || V::accepts(this->imported_.view())) return store();
        const devview::View& given = this->imported_.view();
        const devview::Wish wish = V::wish();
        if (!this->imported_.copy(
                wish.any_format ? given.format() : devview::Format(wish.format),
                devview::python::detail::target_device(wish.place, given.device()),
                wish.order == devview::f_order ? devview::Order::F : devview::Order::C)) {
            return false;
        }
        return store();
    }
    operator devview::Converted<V>*() { return &converted_; }
    operator devview::Converted<V>&() { return converted_; }
    operator devview::Converted<V>&&() && { return std::move(converted_); }
    template <typename T>
    using cast_op_type = movable_cast_op_type<T>;

private:
    bool store() {
        if (!this->accept()) return false;
        converted_ = devview::Converted<V>(std::move(*this->value_));
        return true;
    }
    devview::Converted<V> converted_;
};

}  // namespace detail
}  // namespace PYBIND11_NAMESPACE

#include "devview/pybind11_results.hpp"
