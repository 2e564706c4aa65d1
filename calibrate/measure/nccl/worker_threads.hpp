#pragma once
#include <atomic>
#include <barrier>
#include <exception>
#include <functional>
#include <thread>
#include <utility>
#include <vector>

namespace sextant::nccl {

/// Threads that wait for work and start it together, so that the GPUs of one process are fed at once. The
/// first thread is the caller's.
class WorkerThreads {
 public:
  explicit WorkerThreads(int count) : together_(count), failures_(static_cast<std::size_t>(count)) {
    for (int index = 1; index < count; ++index) threads_.emplace_back([this, index] { serve(index); });
  }
  WorkerThreads(const WorkerThreads&) = delete;
  WorkerThreads& operator=(const WorkerThreads&) = delete;
  ~WorkerThreads() {
    stopping_ = true;
    together_.arrive_and_wait();
    for (std::thread& thread : threads_) thread.join();
  }

  int count() const { return static_cast<int>(threads_.size()) + 1; }

  /// Runs work(index) in every thread at once; rethrows the first failure when all have ended.
  void run(const std::function<void(int index)>& work) {
    work_ = &work;
    together_.arrive_and_wait();
    attempt(0);
    together_.arrive_and_wait();
    for (std::exception_ptr& failure : failures_)
      if (const std::exception_ptr first = std::exchange(failure, nullptr)) {
        for (std::exception_ptr& other : failures_) other = nullptr;
        std::rethrow_exception(first);
      }
  }

 private:
  void serve(int index) {
    for (;;) {
      together_.arrive_and_wait();
      if (stopping_) return;
      attempt(index);
      together_.arrive_and_wait();
    }
  }
  void attempt(int index) {
    try {
      (*work_)(index);
    } catch (...) {
      failures_[static_cast<std::size_t>(index)] = std::current_exception();
    }
  }

  std::barrier<> together_;
  std::vector<std::exception_ptr> failures_;
  const std::function<void(int)>* work_ = nullptr;
  std::atomic<bool> stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace sextant::nccl
