// The keys of v[...], read once: after that no user code runs until something is selected.
#pragma once

#include <memory>

#include "python.hpp"

namespace devview::python {

/// One part of a key.
struct Key {
    enum class Kind : char { index, slice, new_axis, ellipsis };

    Kind kind;
    Py_ssize_t start;  ///< of a slice, as PySlice_Unpack gives it; the index
    Py_ssize_t stop;
    Py_ssize_t step;
};

/// A key, or the parts of a tuple of them. Its __index__ methods run in the constructor, in order.
class Keys {
public:
    /// @throws py::error_already_set  TypeError for what is no key, IndexError for a huge integer.
    explicit Keys(PyObject* key);
    /// True if reading `key` runs no user code: there is no int in it but exact ones.
    static bool are_inert(PyObject* key) noexcept;
    Keys(const Keys&) = delete;
    Keys& operator=(const Keys&) = delete;

    const Key* begin() const noexcept { return keys_; }
    const Key* end() const noexcept { return keys_ + count_; }
    Py_ssize_t size() const noexcept { return count_; }
    const Key& operator[](Py_ssize_t i) const noexcept { return keys_[i]; }

    bool is_tuple() const noexcept { return is_tuple_; }
    /// Only integers and slices: one part for each axis that it speaks of.
    bool is_plain() const noexcept { return axes_ == count_; }
    /// Axes of the view that the parts speak of.
    Py_ssize_t axes() const noexcept { return axes_; }

private:
    static constexpr Py_ssize_t kInline = 6;

    void read(PyObject* part, Key& to);

    Key inline_[kInline];
    std::unique_ptr<Key[]> heap_{};
    Key* keys_ = inline_;
    Py_ssize_t count_ = 1;
    Py_ssize_t axes_ = 0;
    bool is_tuple_;
    bool has_ellipsis_ = false;
};

}  // namespace devview::python
