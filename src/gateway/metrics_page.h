// GET /metrics: the registry as Prometheus text or OpenMetrics, by the Accept header. Written on a
// worker thread.
#pragma once

#include "gateway/call.h"

bool metrics_page_work(struct call *c);
