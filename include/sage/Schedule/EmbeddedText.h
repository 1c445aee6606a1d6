// Text files that the build embeds (cmake/EmbedText.cmake).

#ifndef SAGE_SCHEDULE_EMBEDDEDTEXT_H
#define SAGE_SCHEDULE_EMBEDDEDTEXT_H

namespace sage {

struct EmbeddedText {
  /// Path below the root of the sources; null ends an array.
  const char *path;
  const char *text;
};

/// targets/<chip>.mlir and schedules/<folder>/hd<N>.mlir.
extern const EmbeddedText embeddedTargets[];
extern const EmbeddedText embeddedSchedules[];

} // namespace sage

#endif // SAGE_SCHEDULE_EMBEDDEDTEXT_H
