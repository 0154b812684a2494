// The one table of routes. A path that ends in "/*" takes one more segment. Immutable.
#pragma once

#include "gateway/gateway_internal.h"

enum route_method { ROUTE_GET, ROUTE_POST }; // GET also answers HEAD

struct route {
    enum route_method method;
    str path;
    const char *endpoint;         // label of metrics
    const struct call_kind *call; // or
    void (*handle)(struct gateway *g, struct http_call *hc);
    void (*handle_item)(struct gateway *g, struct http_call *hc, str item);
    bool open; // asks for no key
};

extern const struct route routes[]; // ended by an empty path
// The route of a path and method. NULL: none; *ret_allow then lists the methods that the path has,
// empty when it is unknown. `item` is what "*" stands for.
const struct route *route_find(str method, str path, str *ret_item, const char **ret_allow);
// In whose words a path refuses, whether there is such a route or not.
const struct dialect *route_dialect(str path);
