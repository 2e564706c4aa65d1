#include "calibrate/measure/device/prefill_plans.hpp"

#include <algorithm>

#include "calibrate/measure/device/check.hpp"
#include "models/base/error.hpp"

namespace sextant::measure {
namespace {

constexpr std::size_t most_ahead = 48;
constexpr unsigned most_threads = 8;

}  // namespace

PrefillPlans::PrefillPlans(int device, std::vector<PrefillShape> shapes)
    : shapes_(std::move(shapes)), slots_(shapes_.size()) {
  for (std::size_t i = 0; i < shapes_.size(); ++i) places_[shapes_[i]] = i;
  const unsigned threads = std::clamp(std::thread::hardware_concurrency() / 2, 1U, most_threads);
  libraries_.resize(std::min<std::size_t>(threads, shapes_.size()));
  for (std::unique_ptr<Cudnn>& library : libraries_)
    threads_.emplace_back([this, device, &library] { work(device, library); });
}

PrefillPlans::~PrefillPlans() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

bool PrefillPlans::has(const PrefillShape& shape) const {
  const std::lock_guard lock(mutex_);
  return places_.contains(shape);
}

std::unique_ptr<PrefillAttention> PrefillPlans::take(const PrefillShape& shape) {
  std::unique_lock lock(mutex_);
  const std::size_t place = places_.at(shape);
  places_.erase(shape);
  // What lies before it will not be asked for again: the threads may go as far ahead of it as ever.
  taken_ = std::max(taken_, place + 1);
  changed_.notify_all();
  changed_.wait(lock, [&] { return slots_[place].done; });
  if (!slots_[place].plan) throw Error(ExitCode::failure, slots_[place].error);
  return std::move(slots_[place].plan);
}

void PrefillPlans::work(int device, std::unique_ptr<Cudnn>& library) {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [&] { return stop_ || next_ >= shapes_.size() || next_ < taken_ + most_ahead; });
    if (stop_ || next_ >= shapes_.size()) return;
    const std::size_t place = next_++;
    lock.unlock();
    Slot made;
    try {
      SEXTANT_CUDA(cudaSetDevice(device));
      if (!library) library = std::make_unique<Cudnn>();
      made.plan = std::make_unique<PrefillAttention>(*library, shapes_[place]);
    } catch (const std::exception& error) {
      made.error = error.what();
    }
    made.done = true;
    lock.lock();
    slots_[place] = std::move(made);
    changed_.notify_all();
  }
}

}  // namespace sextant::measure
