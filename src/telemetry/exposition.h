// A registry as text: Prometheus text 0.0.4 and OpenMetrics 1.0.0, and its reference page. Any
// thread; costs time by the number of series (some microseconds each ten): give a large registry
// to a worker.
#pragma once

#include "base/buf.h"
#include "telemetry/metrics.h"

enum exposition_format { EXPOSITION_TEXT, EXPOSITION_OPENMETRICS };

// The format that an Accept header (empty when absent) prefers; text unless OpenMetrics 1.0.0 is
// wanted at least as much.
enum exposition_format exposition_negotiate(str accept);
const char *exposition_content_type(enum exposition_format format);
// Runs the collectors, then writes every family that has a series, in the table's order. ERR_LIMIT
// when `out` is full.
enum err exposition_write(struct metrics *m, enum exposition_format format,
                          struct buf *out) MUST_USE;
// docs/metrics.md
enum err exposition_markdown(const struct metric *table, struct buf *out) MUST_USE;
