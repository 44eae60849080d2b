// The arguments of a METH_FASTCALL | METH_KEYWORDS method by position and name.
#pragma once

#include <algorithm>
#include <initializer_list>
#include <string>

#include "python.hpp"

namespace devview::python {

/// The call's arguments by name, as pybind11 objects: methods off the hot path.
class Arguments {
public:
    Arguments(PyObject* const* values, Py_ssize_t count, PyObject* names, const char* function,
              std::initializer_list<const char*> positional,
              std::initializer_list<const char*> keyword_only = {})
        : size_(positional.size() + keyword_only.size()), function_(function) {
        std::copy(positional.begin(), positional.end(), names_);
        std::copy(keyword_only.begin(), keyword_only.end(), names_ + positional.size());
        const auto positions = static_cast<Py_ssize_t>(positional.size());
        if (count > positions)
            fail("takes at most " + std::to_string(positions) + " positional argument(s)");
        for (Py_ssize_t i = 0; i < count; ++i)
            values_[i] = values[i];
        for (Py_ssize_t i = 0; names != nullptr && i < PyTuple_GET_SIZE(names); ++i) {
            slot(PyTuple_GET_ITEM(names, i)) = values[count + i];
        }
    }
    /// Null if the argument was not given, or given as None.
    PyObject* operator[](std::size_t index) const noexcept {
        return values_[index] == Py_None ? nullptr : values_[index];
    }
    PyObject* require(std::size_t index) const {
        if (values_[index] == nullptr) fail(std::string("misses argument '") + names_[index] + "'");
        return values_[index];
    }
    bool truth(std::size_t index, bool fallback) const {
        if ((*this)[index] == nullptr) return fallback;
        const int value = PyObject_IsTrue(values_[index]);
        if (value < 0) throw py::error_already_set();
        return value == 1;
    }

private:
    [[noreturn]] void fail(const std::string& what) const {
        throw py::type_error(std::string(function_) + "() " + what);
    }
    PyObject*& slot(PyObject* name) {
        for (std::size_t i = 0; i < size_; ++i) {
            if (PyUnicode_CompareWithASCIIString(name, names_[i]) != 0) continue;
            if (values_[i] != nullptr) fail(std::string("got '") + names_[i] + "' twice");
            return values_[i];
        }
        fail("got an unexpected argument '" + std::string(py::str(py::handle(name))) + "'");
    }

    static constexpr std::size_t kMost = 4;
    const char* names_[kMost] = {};
    PyObject* values_[kMost] = {};
    std::size_t size_;
    const char* function_;
};

}  // namespace devview::python
