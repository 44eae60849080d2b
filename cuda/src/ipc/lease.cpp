// All leases of this process, for the children of its forks.
#include "src/ipc/lease.hpp"

#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#endif

#include <memory>
#include <mutex>

namespace devview::cuda {

namespace {

std::mutex& leases_mutex() {
    static auto* const mutex = new std::mutex;
    return *mutex;
}

ImportLease* first_lease = nullptr;  // guarded by the mutex

}  // namespace

ImportLease* ImportLease::hold(Descriptor socket) {
#if defined(__unix__) || defined(__APPLE__)
    static const int watches = pthread_atfork([] { leases_mutex().lock(); },
                                              [] { leases_mutex().unlock(); }, close_all_in_child);
    (void)watches;
#endif
    std::unique_ptr<ImportLease> lease(new ImportLease(std::move(socket)));
    const std::lock_guard lock(leases_mutex());
    lease->next_ = first_lease;
    if (first_lease) first_lease->previous_ = lease.get();
    first_lease = lease.get();
    return lease.release();
}

void ImportLease::end(void* pointer) noexcept {
    const std::unique_ptr<ImportLease> lease(static_cast<ImportLease*>(pointer));
    const std::lock_guard lock(leases_mutex());
    (lease->previous_ ? lease->previous_->next_ : first_lease) = lease->next_;
    if (lease->next_) lease->next_->previous_ = lease->previous_;
}

void ImportLease::close_all_in_child() noexcept {
    for (ImportLease* lease = first_lease; lease; lease = lease->next_)
        lease->socket_ = Descriptor{};
    leases_mutex().unlock();
}

}  // namespace devview::cuda
