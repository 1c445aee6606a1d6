//===- LaunchTimes.cpp - how long launches take, at which clock -----------===//
#include "LaunchTimes.h"

#include "ClockSampler.h"

#include <algorithm>

namespace sage::gpu {
namespace {

template <typename Number> double quantileOf(std::vector<Number> values, double fraction) {
  if (values.empty())
    return 0;
  std::sort(values.begin(), values.end());
  double place = fraction * double(values.size() - 1);
  size_t below = size_t(place), above = std::min(below + 1, values.size() - 1);
  return double(values[below]) +
         (place - double(below)) * (double(values[above]) - double(values[below]));
}

/// Events between launches.
class EventChain {
public:
  EventChain(const Device &device, size_t count) : device(device), events(count, nullptr) {}
  EventChain(const EventChain &) = delete;
  EventChain &operator=(const EventChain &) = delete;
  ~EventChain() {
    for (cuda::Event event : events)
      if (event)
        (void)device.api().eventDestroy(event);
  }
  Status create() {
    for (cuda::Event &event : events)
      SAGE_RETURN_IF_ERROR(
          device.api().check(device.api().eventCreate(&event, 0), "cuEventCreate"));
    return {};
  }
  Status record(size_t i, const Stream &stream) {
    return device.api().check(device.api().eventRecord(events[i], stream.handle), "cuEventRecord");
  }
  Status read(std::vector<float> &times) {
    SAGE_RETURN_IF_ERROR(
        device.api().check(device.api().eventSynchronize(events.back()), "cuEventSynchronize"));
    for (size_t i = 0; i + 1 < events.size(); ++i) {
      float milliseconds = 0;
      SAGE_RETURN_IF_ERROR(
          device.api().check(device.api().eventElapsedTime(&milliseconds, events[i], events[i + 1]),
                             "cuEventElapsedTime"));
      times.push_back(milliseconds);
    }
    return {};
  }

private:
  const Device &device;
  std::vector<cuda::Event> events;
};

Status launchBetweenEvents(const Device &device, const Stream &stream, const Launch &launch,
                           int64_t count, size_t inputSets, std::vector<float> &times) {
  EventChain events(device, size_t(count) + 1);
  SAGE_RETURN_IF_ERROR(events.create());
  SAGE_RETURN_IF_ERROR(events.record(0, stream));
  for (size_t i = 0; i < size_t(count); ++i) {
    SAGE_RETURN_IF_ERROR(launch(i % inputSets));
    SAGE_RETURN_IF_ERROR(events.record(i + 1, stream));
  }
  return events.read(times);
}

} // namespace

double LaunchTimes::quantile(double fraction) const { return quantileOf(milliseconds, fraction); }

int LaunchTimes::medianMegahertz() const { return int(quantileOf(megahertz, 0.5)); }

Status timeLaunches(const Device &device, const Stream &stream, const LaunchPlan &plan,
                    const Launch &launch, LaunchTimes &times) {
  LaunchTimes warm;
  SAGE_RETURN_IF_ERROR(
      launchBetweenEvents(device, stream, launch, plan.warmUps, plan.inputSets, warm.milliseconds));
  double each = std::max(warm.median(), 1e-3);
  int64_t count = std::clamp(int64_t(plan.leastMilliseconds / each), plan.launches,
                             std::max(plan.launches, plan.mostLaunches));
  ClockSampler clock(device.pciBusId());
  SAGE_RETURN_IF_ERROR(
      launchBetweenEvents(device, stream, launch, count, plan.inputSets, times.milliseconds));
  if (int megahertz = clock.medianMegahertz())
    times.megahertz.push_back(megahertz);
  return {};
}

} // namespace sage::gpu
