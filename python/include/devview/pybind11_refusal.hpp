// Why an argument was refused: kept by the casters, told by the function that has no overload left.
//
// A caster only answers yes or no, since another overload may fit; pybind11 then lists signatures.
// So the loader of functions that take views is one of our own (a constrained specialisation, which
// needs C++20): it knows the argument's name and whether anything is left to be tried.
#pragma once

#include <pybind11/pybind11.h>

#include <algorithm>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "devview/export.hpp"
#include "devview/view.hpp"
#include "devview/view_of.hpp"

namespace devview::python {

/// True for types whose casters refuse with a reason: views, and templates of them (optional).
template <class T>
struct TakesView : std::false_type {};
template <>
struct TakesView<View> : std::true_type {};
template <class T, auto Rank, Place Where, Contiguity Lie>
struct TakesView<ViewOf<T, Rank, Where, Lie>> : std::true_type {};
template <template <class...> class Holder, class... T>
struct TakesView<Holder<T...>> : std::disjunction<TakesView<pybind11::detail::intrinsic_t<T>>...> {
};

/// True for those whose caster always leaves a reason: no template of views.
template <class T>
struct IsView : std::is_same<T, View> {};
template <class T, auto Rank, Place Where, Contiguity Lie>
struct IsView<ViewOf<T, Rank, Where, Lie>> : std::true_type {};
template <class T>
inline constexpr bool is_view = IsView<pybind11::detail::intrinsic_t<T>>::value;

template <class... Args>
inline constexpr bool takes_views = (TakesView<pybind11::detail::intrinsic_t<Args>>::value || ...);

namespace detail {

/// Why a caster said no: in words, or as what they are made of, since another overload may fit.
class DEVVIEW_LOCAL Reason {
public:
    using Writer = std::string (*)(const ViewFacts& given);

    void tell(std::string words) {
        writer_ = nullptr;
        words_ = std::move(words);
    }
    void tell(const View& given, Writer writer) {
        facts_ = ViewFacts(given);
        writer_ = writer;
    }
    void clear() noexcept {
        writer_ = nullptr;
        words_.clear();
    }
    std::string text() const {
        if (writer_ != nullptr) return writer_(facts_);
        return words_.empty() ? "not as the signature says" : words_;
    }

private:
    Writer writer_ = nullptr;
    ViewFacts facts_{};
    std::string words_{};
};

/// That of the caster that said no last; each extension module has its own.
DEVVIEW_LOCAL inline Reason& last_refusal() {
    static thread_local Reason reason;
    return reason;
}

/// A refusal of an overload that is not the last one. Records of functions may be gone when it is
/// looked at, and with them their text: pointers are compared, never followed.
struct DEVVIEW_LOCAL Refused {
    const void* overload = nullptr;
    const void* last = nullptr;  ///< the last one of its overloads
    const PyObject* argument = nullptr;
    bool converting = false;  ///< in pybind11's second round
    std::string signature{};
    std::string name{};  ///< of the argument
    Reason reason{};
};

/// Those of the call that is tried in this thread. They hold no memory but their own, which is kept
/// for the next ones.
class DEVVIEW_LOCAL RefusedOverloads {
public:
    std::size_t size() const noexcept { return size_; }
    Refused* begin() noexcept { return all_.data(); }
    Refused* end() noexcept { return all_.data() + size_; }
    void clear() noexcept { size_ = 0; }
    /// The oldest one makes room.
    Refused& add() {
        constexpr std::size_t kMost = 32;
        if (size_ == kMost) {
            std::rotate(begin(), begin() + 1, end());
            return all_[kMost - 1];
        }
        if (size_ == all_.size()) all_.emplace_back();
        return all_[size_++];
    }

private:
    std::vector<Refused> all_{};
    std::size_t size_ = 0;
};

DEVVIEW_LOCAL inline RefusedOverloads& refused_overloads() {
    static thread_local RefusedOverloads refused;
    return refused;
}

/// True in a thread with refused overloads: a success need not look at them otherwise.
DEVVIEW_LOCAL inline bool& any_refused() {
    static thread_local bool any = false;
    return any;
}

inline void forget_refused() noexcept {
    any_refused() = false;
    refused_overloads().clear();
}

/// As pybind11 names it in the signature.
inline std::string argument_name(const pybind11::detail::function_record& function,
                                 std::size_t index) {
    if (function.has_args && index > function.nargs_pos) --index;
    if (index < function.args.size() && function.args[index].name != nullptr) {
        return function.args[index].name;
    }
    if (index == 0 && function.is_method) return "self";
    return "arg" + std::to_string(index - (function.is_method ? 1 : 0));
}

inline std::string argument_text(const std::string& name, pybind11::handle value,
                                 const Reason& reason) {
    return "argument '" + name + "' (" + Py_TYPE(value.ptr())->tp_name + "): " + reason.text();
}

/// pybind11 tries all overloads without conversions, then again those that allow any: true in that
/// second round, and in the only one of a function without overloads.
template <class Call>
bool converting(const Call& call) {
    for (std::size_t i = 0; i < call.func.nargs; ++i) {
        if (call.args_convert[i]) return true;
    }
    return false;
}

template <class Call>
bool will_be_tried_again(const Call& call) {
    if (converting(call)) return false;
    if (call.func.args.empty()) return call.func.nargs > 0;
    return std::any_of(call.func.args.begin(), call.func.args.end(),
                       [](const auto& argument) { return argument.convert; });
}

/// Keeps the reason for the overload that will be the last to fail. An overload is tried once in a
/// round, so one that is here already begins another call.
template <class Call>
void remember(const Call& call, std::size_t index, Reason& reason) {
    const pybind11::detail::function_record* last = &call.func;
    while (last->next != nullptr)
        last = last->next;
    const bool converts = converting(call);
    RefusedOverloads& refused = refused_overloads();
    Refused* entry = nullptr;
    for (Refused& other : refused) {
        if (other.last != last || (other.overload == &call.func && other.converting == converts)) {
            refused.clear();
            entry = nullptr;
            break;
        }
        if (other.overload == &call.func) entry = &other;
    }
    if (entry == nullptr) entry = &refused.add();
    entry->overload = &call.func;
    entry->last = last;
    entry->argument = pybind11::handle(call.args[index]).ptr();
    entry->converting = converts;
    entry->signature = call.func.signature;
    entry->name = argument_name(call.func, index);
    std::swap(entry->reason, reason);
    any_refused() = true;
}

/// What the overloads before the last one were refused for in this call, as lines.
template <class Call>
std::vector<std::string> earlier_lines(const Call& call) {
    std::vector<std::string> lines;
    for (const Refused& entry : refused_overloads()) {
        if (entry.last != &call.func) continue;
        for (std::size_t i = 0; i < call.func.nargs; ++i) {
            const pybind11::handle value(call.args[i]);
            if (value.ptr() != entry.argument) continue;
            lines.push_back(entry.signature + ": " +
                            argument_text(entry.name, value, entry.reason));
            break;
        }
    }
    forget_refused();
    return lines;
}

/// Argument `index` of `call` was refused by its caster. @throws pybind11::type_error  if nothing
/// is left to be tried.
template <class Call>
void refuse(const Call& call, std::size_t index) {
    const auto& function = call.func;
    if (function.is_operator) return;  // answers NotImplemented
    Reason& reason = last_refusal();
    if (function.next != nullptr) {
        remember(call, index, reason);
        reason.clear();
        return;
    }
    const std::string text =
        argument_text(argument_name(function, index), pybind11::handle(call.args[index]), reason);
    reason.clear();
    if (will_be_tried_again(call)) return;
    const std::string name = std::string(function.name) + "()";
    std::vector<std::string> lines = earlier_lines(call);
    if (lines.empty()) throw pybind11::type_error(name + ": " + text);
    std::string message = name + ": no overload takes these arguments:";
    lines.push_back(function.signature + (": " + text));
    for (std::size_t i = 0; i < lines.size(); ++i)
        message += "\n    " + std::to_string(i + 1) + ". " + lines[i];
    throw pybind11::type_error(message);
}

}  // namespace detail

}  // namespace devview::python

#ifdef __cpp_concepts

namespace PYBIND11_NAMESPACE {
namespace detail {

/// pybind11's loader of arguments, for functions that take views: tells why one was refused.
template <typename... Args>
requires(devview::python::takes_views<Args...>) class argument_loader<Args...> {
    using indices = make_index_sequence<sizeof...(Args)>;
    template <typename Arg>
    using argument_is_args = std::is_base_of<args, intrinsic_t<Arg>>;
    template <typename Arg>
    using argument_is_kwargs = std::is_base_of<kwargs, intrinsic_t<Arg>>;
    static constexpr auto kwargs_pos = constexpr_last<argument_is_kwargs, Args...>();
    static_assert(kwargs_pos == -1 || kwargs_pos == static_cast<int>(sizeof...(Args)) - 1,
                  "py::kwargs is only permitted as the last argument of a function");

public:
    static constexpr bool has_kwargs = kwargs_pos != -1;
    static constexpr int args_pos = constexpr_last<argument_is_args, Args...>();
    static_assert(args_pos == -1 || args_pos == constexpr_first<argument_is_args, Args...>(),
                  "py::args cannot be specified more than once");
    static constexpr auto arg_names = concat(type_descr(make_caster<Args>::name)...);

    bool load_args(function_call& call) { return load_all(call, indices{}); }

    template <typename Return, typename Guard, typename Func>
    // NOLINTNEXTLINE(readability-const-return-type)
    enable_if_t<!std::is_void<Return>::value, Return> call(Func&& function) && {
        return std::move(*this).template call_with<remove_cv_t<Return>>(
            std::forward<Func>(function), indices{}, Guard{});
    }
    template <typename Return, typename Guard, typename Func>
    enable_if_t<std::is_void<Return>::value, void_type> call(Func&& function) && {
        std::move(*this).template call_with<remove_cv_t<Return>>(std::forward<Func>(function),
                                                                 indices{}, Guard{});
        return void_type();
    }

private:
    template <std::size_t... I>
    bool load_all(function_call& call, index_sequence<I...>) {
        if (!(... && load_one<I, Args>(call))) return false;
        if (devview::python::detail::any_refused()) devview::python::detail::forget_refused();
        return true;
    }
    template <std::size_t I, typename Arg>
    bool load_one(function_call& call) {
        constexpr bool tells = devview::python::takes_views<Arg>;
        // One of several casters may have said no, and the argument be accepted all the same.
        constexpr bool several = tells && !devview::python::is_view<Arg>;
        if constexpr (several) devview::python::detail::last_refusal().clear();
        if (std::get<I>(casters_).load(call.args[I], call.args_convert[I])) return true;
        if constexpr (tells) devview::python::detail::refuse(call, I);
        return false;
    }
    template <typename Return, typename Func, std::size_t... I, typename Guard>
    Return call_with(Func&& function, index_sequence<I...>, Guard&&) && {
        return std::forward<Func>(function)(cast_op<Args>(std::move(std::get<I>(casters_)))...);
    }

    std::tuple<make_caster<Args>...> casters_;
};

}  // namespace detail
}  // namespace PYBIND11_NAMESPACE

#endif
