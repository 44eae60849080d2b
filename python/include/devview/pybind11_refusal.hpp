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

template <class... Args>
inline constexpr bool takes_views = (TakesView<pybind11::detail::intrinsic_t<Args>>::value || ...);

namespace detail {

/// Why the caster that said no last did so; each extension module has its own.
DEVVIEW_LOCAL inline std::string& last_refusal() {
    static thread_local std::string reason;
    return reason;
}

/// A refusal of an overload that is not the last one.
struct DEVVIEW_LOCAL Refused {
    const pybind11::detail::function_record* overload;
    std::vector<const void*> later;  ///< the overloads after it: compared, never followed
    pybind11::handle argument;       ///< compared, never followed
    std::string line;
};

DEVVIEW_LOCAL inline std::vector<Refused>& refused_overloads() {
    static thread_local std::vector<Refused> refused;
    return refused;
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

inline std::string argument_text(const pybind11::detail::function_record& function,
                                 std::size_t index, pybind11::handle value) {
    return "argument '" + argument_name(function, index) + "' (" + Py_TYPE(value.ptr())->tp_name +
           "): " + (last_refusal().empty() ? "not as the signature says" : last_refusal());
}

/// pybind11 tries all overloads without conversions, then again those that allow any.
template <class Call>
bool will_be_tried_again(const Call& call) {
    for (std::size_t i = 0; i < call.func.nargs; ++i) {
        if (call.args_convert[i]) return false;
    }
    if (call.func.args.empty()) return call.func.nargs > 0;
    return std::any_of(call.func.args.begin(), call.func.args.end(),
                       [](const auto& argument) { return argument.convert; });
}

/// Keeps the reason for the overload that will be the last to fail.
inline void remember(const pybind11::detail::function_record& overload, pybind11::handle argument,
                     const std::string& text) {
    auto& refused = refused_overloads();
    refused.erase(std::remove_if(refused.begin(), refused.end(),
                                 [&](const Refused& other) { return other.overload == &overload; }),
                  refused.end());
    constexpr std::size_t kMost = 32;
    if (refused.size() == kMost) refused.erase(refused.begin());
    Refused entry{&overload, {}, argument, overload.signature + (": " + text)};
    for (const auto* next = overload.next; next != nullptr; next = next->next)
        entry.later.push_back(next);
    refused.push_back(std::move(entry));
}

/// What the overloads before `last` were refused for in this call, as lines.
template <class Call>
std::vector<std::string> earlier_lines(const Call& call) {
    std::vector<std::string> lines;
    auto& refused = refused_overloads();
    const auto is_before = [&](const Refused& entry) {
        return std::find(entry.later.begin(), entry.later.end(), &call.func) != entry.later.end();
    };
    const auto is_argument = [&](pybind11::handle value) {
        for (std::size_t i = 0; i < call.func.nargs; ++i) {
            if (pybind11::handle(call.args[i]).ptr() == value.ptr()) return true;
        }
        return false;
    };
    for (const Refused& entry : refused) {
        if (is_before(entry) && is_argument(entry.argument)) lines.push_back(entry.line);
    }
    refused.erase(std::remove_if(refused.begin(), refused.end(), is_before), refused.end());
    return lines;
}

/// Argument `index` of `call` was refused by its caster. @throws pybind11::type_error  if nothing
/// is left to be tried.
template <class Call>
void refuse(const Call& call, std::size_t index) {
    const auto& function = call.func;
    if (function.is_operator) return;  // answers NotImplemented
    const pybind11::handle value(call.args[index]);
    const std::string text = argument_text(function, index, value);
    last_refusal().clear();
    if (function.next != nullptr) return remember(function, value, text);
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
        return (... && load_one<I, Args>(call));
    }
    template <std::size_t I, typename Arg>
    bool load_one(function_call& call) {
        constexpr bool tells = devview::python::takes_views<Arg>;
        if constexpr (tells) devview::python::detail::last_refusal().clear();
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
