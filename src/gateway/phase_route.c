// Where may it go? Then, for the target that was chosen, the provider's own preparation. Any
// thread.
#include <stdio.h>

#include "gateway/call.h"
#include "gateway/gateway_internal.h"
#include "gateway/shadow.h"
#include "gateway/visible.h"

#include "base/banned.h"

const struct model_entry *call_find_model(struct call *c, str name)
{
    const struct model_entry *m = registry_find(&c->gateway->registry, name);
    return m ? m : providers_find(&c->gateway->providers, name, &c->arena);
}

// The first of a route's targets that there is: for what is asked of a model without an attempt.
static const struct model_entry *first_target(struct call *c)
{
    const struct model_entry *m = NULL;
    for (size_t i = 0; i < c->route->targets_len && !m; i++)
        m = call_find_model(c, c->route->targets[i].name);
    return m;
}

// What the client asked for is what its key must allow; of a model that is named itself, by any of
// its names.
static bool may_use(struct call *c)
{
    if (!c->key || key_allows_model(c->key, c->request.model) ||
        (!c->route->targets_len &&
         (key_allows_model(c->key, c->model->name) || key_allows_model(c->key, c->model->root))))
        return true;
    return api_error_set(call_error(c), API_MODEL_NOT_ALLOWED, "model",
                         "The API key '" STR_FMT "' may not use the model '%.*s'.",
                         STR_ARG(c->key->name), (int)min_size(c->request.model.len, 128),
                         c->request.model.ptr ? c->request.model.ptr : "");
}

bool phase_route(struct call *c)
{
    const struct registry *r = &c->gateway->registry;
    const struct model_routes *routes = &c->gateway->routes;
    char names[320];
    if (!c->kind->dialect)
        c->request.model = json_str(json_get(c->doc.root, "model"));
    if (shadow_is_copy(c))
        return shadow_route(c);
    c->route = model_routes_find(routes, c->request.model);
    c->model = c->route ? first_target(c) : call_find_model(c, c->request.model);
    if (!c->route)
        c->route = c->model && !c->model->remote ? &routes->here : &routes->alone;
    if (c->model)
        return may_use(c);
    if (!registry_find(r, STR_NONE)) {
        api_error_set(call_error(c), API_MODEL_LOADING, NULL,
                      "The model is still loading. Try again in a moment.");
        call_error(c)->retry_after_ms = 1000;
        return false;
    }
    visible_names(c->gateway, c->key, names, sizeof names);
    return api_error_set(call_error(c), API_MODEL_NOT_FOUND, "model",
                         "The model '%.*s' does not exist here. There is %s.",
                         (int)min_size(c->request.model.len, 128), c->request.model.ptr, names);
}

// Strict: nothing may be lost on the way to the provider.
static bool refuse_losses(struct call *c)
{
    char first[96];
    snprintf(first, sizeof first, "%.*s", (int)min_size(c->losses.names[0].len, 95),
             c->losses.names[0].ptr);
    return api_error_set(call_error(c), API_PARAMS_DROPPED, first,
                         "'%s' cannot be carried to the provider '" STR_FMT "', and 'strict' is "
                         "asked for. The header x-weir-dropped-params names all such members.",
                         first, STR_ARG(c->model->provider_name));
}

bool phase_prepare(struct call *c)
{
    c->losses.len = 0;
    if (c->request.in_events && c->request.logprobs)
        exchange_lose(&c->losses, STR("logprobs")); // scores of what the rules might not let pass
    if (c->request.prefilled)
        c->request.continues = c->model->continues;
    if (!phase_context(c))
        return false;
    struct api_error e;
    if (!c->model->provider->prepare(c->model, &c->request, &c->arena, &c->losses, &c->plan, &e)) {
        *call_error(c) = e;
        return false;
    }
    return !c->losses.len || !(c->in.strict || c->model->strict) || refuse_losses(c);
}
