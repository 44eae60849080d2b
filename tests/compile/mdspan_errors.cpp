// Mistakes with host_span and device_span that must not compile: one for each FAULT.
#include <devview/mdspan.hpp>

using devview::device_span;
using devview::host_span;
using Extents = cuda::std::dextents<int, 1>;

struct Unknown {
    int value;
};

struct Blocks {
    template <class E>
    struct mapping : cuda::std::layout_right::mapping<E> {
        using layout_type = Blocks;
        using cuda::std::layout_right::mapping<E>::mapping;
    };
};

[[maybe_unused]] static void mistake(const devview::View& view) {
#if FAULT == 1
    device_span<float, Extents>(view, "x")(0) = 1;
#elif FAULT == 2
    host_span<const float, Extents>(view, "x")(0) = 1;
#elif FAULT == 3
    const host_span<float, Extents> writer = host_span<const float, Extents>(view);
    (void)writer;
#elif FAULT == 4
    const host_span<float, Extents> moved(device_span<float, Extents>{view});
    (void)moved;
#elif FAULT == 5
    const host_span<float, Extents> implicit = view;
    (void)implicit;
#elif FAULT == 6
    host_span<Unknown, Extents>(view, "x");
#elif FAULT == 7
    host_span<float, Extents, Blocks>(view, "x");
#elif FAULT == 8
    // No accessor tells whose memory it is.
    devview::view_of(cuda::std::mdspan<float, Extents>(nullptr, 3), view);
#else
    host_span<float, Extents>(view, "x")(0) = 1;
    (void)device_span<const float, Extents>(device_span<float, Extents>(view)).extent(0);
#endif
}
