// How busy a server is by its own account: the few gauges of its Prometheus page that say how many
// requests run and wait there, whoever sent them. Known are the names of NVIDIA NIM, vLLM, SGLang,
// llama.cpp and weir itself. Pure.
#pragma once

#include "base/str.h"

struct provider_load {
    double running, waiting; // requests, of all its models
};

// False: the page (Prometheus' text) tells neither.
bool provider_load_read(str page, struct provider_load *ret) MUST_USE;
