// The arithmetic, once for host and device: each functor does the work of one index.
#pragma once

#include "items.hpp"

namespace numeric {

struct Saxpy {
    float a;
    Items<const float> x;
    Items<float> y;

    DEVVIEW_HD void operator()(std::int64_t i) const { y[i] += a * x[i]; }
};

/// Index i sums every `parts`-th item from i on.
template <class T>
struct Sum {
    Items<const T> x;
    Items<double> sums;
    std::int64_t parts;

    DEVVIEW_HD void operator()(std::int64_t i) const {
        double sum = 0;
        for (std::int64_t k = i; k < x.count; k += parts)
            sum += static_cast<double>(x[k]);
        sums[i] = sum;
    }
};

/// The mean of three neighbours; the ends are copied.
struct Mean3 {
    Items<const float> x;
    Items<float> out;

    DEVVIEW_HD void operator()(std::int64_t i) const {
        const bool end = i == 0 || i + 1 == x.count;
        out[i] = end ? x[i] : (x[i - 1] + x[i] + x[i + 1]) / 3.0F;
    }
};

}  // namespace numeric
